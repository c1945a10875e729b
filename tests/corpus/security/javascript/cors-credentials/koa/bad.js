const cors = require('@koa/cors');
app.use(cors({ origin: '*', credentials: true })); // expect: cors-credentials
