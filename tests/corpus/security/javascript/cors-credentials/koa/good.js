const cors = require('@koa/cors');
app.use(cors({ credentials: true, origin: (ctx) => check(ctx) }));
