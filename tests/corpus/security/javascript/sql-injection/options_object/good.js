const pg = require('pg');
const pool = new pg.Pool();
app.get('/o', async (req, res) => {
  const found = await pool.query({ text: 'SELECT * FROM o WHERE a = $1', values: [req.query.a] });
  res.json(found);
});
