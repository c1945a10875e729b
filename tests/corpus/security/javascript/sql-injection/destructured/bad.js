import mysql from 'mysql2/promise';
const db = await mysql.createConnection({});
app.post('/login', async (req, res) => {
  const { user, password } = req.body;
  const [rows] = await db.execute(`SELECT * FROM users WHERE user='${user}' AND password='${password}'`); // expect: sql-injection
  res.json(rows.length > 0);
});
