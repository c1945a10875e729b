const funcster = require('funcster');
router.post('/f', (req, res) => {
  funcster.deepDeserialize(OWN_STATE);
  res.json(funcster.deepSerialize({ a: 1 }));
});
