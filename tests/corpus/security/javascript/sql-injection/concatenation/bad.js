const mysql = require('mysql');
const connection = mysql.createConnection({});
function search(req, res) {
  const term = req.query.q;
  const sql = "SELECT name FROM items WHERE name LIKE '%" + term + "%'";
  connection.query(sql, (error, rows) => res.json(rows)); // expect: sql-injection
}
