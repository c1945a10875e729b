const axios = require('axios');
router.post('/hook', async (req, res) => {
  await axios.post('https://hooks.example.com/', { callback: req.body.callback });
  res.end();
});
