const util = require('util');
const run = util.promisify(require('child_process').exec);
router.post('/git', async (req, res) => {
  const { stdout } = await run(`git log ${req.body.branch}`); // expect: command-injection
  res.json({ stdout });
});
