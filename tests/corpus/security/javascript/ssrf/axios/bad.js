const axios = require('axios');
router.post('/hook', async (req, res) => {
  await axios.post(req.body.callback, { ok: true }); // expect: ssrf
  res.end();
});
