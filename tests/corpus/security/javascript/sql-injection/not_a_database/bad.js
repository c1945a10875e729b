const db = require('./db');
app.get('/z', async (req, res) => {
  const table = TABLES[req.query.table] || req.query.table;
  res.json(await db.query('SELECT count(*) FROM ' + table)); // expect: sql-injection
});
