String account = "@TWILIO@"; // expect: hardcoded-secret
