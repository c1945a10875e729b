const { Pool } = require('pg');
const pool = new Pool();
exports.show = async (req, res) => {
  const rows = await pool.query(`SELECT * FROM users WHERE id = ${req.params.id}`); // expect: sql-injection
  res.json(rows);
};
