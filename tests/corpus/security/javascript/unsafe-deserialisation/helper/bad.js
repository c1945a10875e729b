const serializer = require('node-serialize');
function restore(text) {
  const raw = Buffer.from(text, 'base64').toString();
  return serializer.unserialize(raw); // expect: unsafe-deserialisation
}
app.use((req, res, next) => {
  req.session = restore(req.headers['x-session']);
  next();
});
