const { Client } = require('pg');
const client = new Client();
app.get('/r', async (req, res) => {
  let sql = 'SELECT * FROM r WHERE 1=1';
  const values = [];
  if (req.query.city) {
    values.push(req.query.city);
    sql += ' AND city = $' + values.length;
  }
  const rows = await client.query(sql, values);
  res.json(rows);
});
