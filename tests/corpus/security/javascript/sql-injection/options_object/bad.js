const pg = require('pg');
const pool = new pg.Pool();
app.get('/o', async (req, res) => {
  const found = await pool.query({ text: `SELECT * FROM o WHERE a = ${req.query.a}`, values: [] }); // expect: sql-injection
  res.json(found);
});
