const vm = require('vm');
router.post('/vm', (req, res) => {
  res.json(vm.runInNewContext(req.body.script, {})); // expect: code-injection
});
