const session = require('express-session');
app.use(session({ secret, cookie: { secure: false, sameSite: 'lax' } })); // expect: insecure-cookie
