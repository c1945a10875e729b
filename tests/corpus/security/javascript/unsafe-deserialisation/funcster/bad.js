const funcster = require('funcster');
router.post('/f', (req, res) => {
  funcster.deepDeserialize(req.body); // expect: unsafe-deserialisation
  res.end();
});
