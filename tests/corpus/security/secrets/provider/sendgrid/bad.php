$key = '@SENDGRID@'; // expect: hardcoded-secret
