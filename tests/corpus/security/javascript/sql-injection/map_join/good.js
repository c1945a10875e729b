const db = require('./db');
app.get('/many', async (req, res) => {
  const ids = req.query.ids.split(',').map((id) => parseInt(id, 10)).join(',');
  res.json(await db.query(`SELECT * FROM t WHERE id IN (${ids})`));
});
