const express = require('express');
const session = require('express-session');
const app = express();
app.use(session({ secret, cookie: { sameSite: 'none', secure: true } })); // expect: csrf
app.post('/pay', pay);
