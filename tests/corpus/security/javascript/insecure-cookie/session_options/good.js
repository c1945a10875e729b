const session = require('express-session');
app.use(session({ secret, cookie: { secure: true, httpOnly: true, sameSite: 'lax' } }));
