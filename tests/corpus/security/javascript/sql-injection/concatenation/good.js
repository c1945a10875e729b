const mysql = require('mysql');
const connection = mysql.createConnection({});
function search(req, res) {
  const term = req.query.q;
  const sql = 'SELECT name FROM items WHERE name LIKE ?';
  connection.query(sql, ['%' + term + '%'], (error, rows) => res.json(rows));
}
