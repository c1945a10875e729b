const fetch = require('node-fetch');
async function load(address) {
  return fetch(address); // expect: ssrf
}
app.get('/a', async (req, res) => res.json(await load(req.query.address)));
