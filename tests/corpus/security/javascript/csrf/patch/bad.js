const express = require('express');
const session = require('express-session');
const app = express();
const sessions = session({ secret }); // expect: csrf
app.use(sessions);
app.patch('/profile', save);
