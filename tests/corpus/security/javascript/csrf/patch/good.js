const express = require('express');
const session = require('express-session');
const app = express();
const sessions = session({ secret });
app.use(sessions);
app.get('/profile', show);
