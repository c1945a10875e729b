const sqlite3 = require('sqlite3');
const db = new sqlite3.Database('app.db');
app.get('/n', (req, res) => {
  db.all('SELECT * FROM notes WHERE owner = ?', req.query.owner, (e, rows) => res.json(rows));
});
