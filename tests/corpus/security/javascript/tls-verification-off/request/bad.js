const request = require('request');
request({ url: 'https://a.example', strictSSL: false }, done); // expect: tls-verification-off
