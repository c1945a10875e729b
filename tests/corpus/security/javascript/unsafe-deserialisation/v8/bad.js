const v8 = require('v8');
app.post('/state', (req, res) => {
  const state = v8.deserialize(Buffer.from(req.body.state, 'base64')); // expect: unsafe-deserialisation
  res.json(state);
});
