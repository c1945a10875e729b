const express = require('express');
const app = express();
app.use(bearerToken());
app.post('/pay', pay);
