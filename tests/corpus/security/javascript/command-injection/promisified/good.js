const util = require('util');
const run = util.promisify(require('child_process').execFile);
router.post('/git', async (req, res) => {
  const { stdout } = await run('git', ['log', '--', req.body.branch]);
  const match = /^(\w+)/.exec(req.body.branch);
  res.json({ stdout, match });
});
