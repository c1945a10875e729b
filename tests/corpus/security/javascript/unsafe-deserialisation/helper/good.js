const serializer = require('node-serialize');
function restore(text) {
  const raw = Buffer.from(text, 'base64').toString();
  return JSON.parse(raw);
}
app.use((req, res, next) => {
  req.session = restore(req.headers['x-session']);
  next();
});
