const https = require('https');
const HOSTS = ['img.example.com'];
app.get('/image', (req, res) => {
  const target = new URL(req.query.src);
  if (!HOSTS.includes(target.hostname)) {
    res.status(400).end();
    return;
  }
  https.get(target, (reply) => reply.pipe(res));
});
