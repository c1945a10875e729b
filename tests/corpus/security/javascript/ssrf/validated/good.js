const fetch = require('node-fetch');
async function load(address) {
  if (!isAllowed(address)) throw new Error('no');
  return fetch(address);
}
app.get('/a', async (req, res) => res.json(await load(req.query.address)));
