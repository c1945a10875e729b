import mysql from 'mysql2/promise';
const db = await mysql.createConnection({});
app.post('/login', async (req, res) => {
  const { user, password } = req.body;
  const [rows] = await db.execute('SELECT * FROM users WHERE user=? AND password=?', [user, password]);
  res.json(rows.length > 0);
});
