const express = require('express');
const session = require('express-session');
const csrf = require('csurf');
const app = express();
app.use(session({ secret: process.env.SECRET, cookie: { secure: true } }));
app.use(csrf());
app.post('/transfer', (req, res) => res.json({}));
