const serialize = require('node-serialize');
app.get('/p', (req, res) => {
  const profile = serialize.unserialize(req.cookies.profile); // expect: unsafe-deserialisation
  res.json(profile);
});
