const options = {};
options.rejectUnauthorized = true;
tls.connect(options);
