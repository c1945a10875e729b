const vm = require('vm');
router.post('/vm', (req, res) => {
  res.json(vm.runInNewContext('a + 1', { a: Number(req.body.a) }));
});
