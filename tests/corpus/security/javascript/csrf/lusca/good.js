const express = require('express');
const session = require('express-session');
const lusca = require('lusca');
const app = express();
app.use(session({ secret }));
app.use(lusca.csrf());
app.put('/a', update);
