const { Client } = require('pg');
const client = new Client();
app.get('/r', async (req, res) => {
  let sql = 'SELECT * FROM r WHERE 1=1';
  if (req.query.city) {
    sql += " AND city = '" + req.query.city + "'";
  }
  const rows = await client.query(sql); // expect: sql-injection
  res.json(rows);
});
