const { Pool } = require('pg');
const pool = new Pool();
exports.show = async (req, res) => {
  const rows = await pool.query('SELECT * FROM users WHERE id = $1', [req.params.id]);
  res.json(rows);
};
