const options = {};
options.rejectUnauthorized = false; // expect: tls-verification-off
tls.connect(options);
