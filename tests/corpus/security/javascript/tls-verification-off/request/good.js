const request = require('request');
request({ url: 'https://a.example', strictSSL: true }, done);
