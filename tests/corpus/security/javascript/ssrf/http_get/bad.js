const https = require('https');
app.get('/image', (req, res) => {
  const target = new URL(req.query.src);
  https.get(target, (reply) => reply.pipe(res)); // expect: ssrf
});
