const db = require('./database');
function byName(name) {
  return run('SELECT * FROM people WHERE name = ?', [name]);
}
function run(sql, values) {
  return db.query(sql, values);
}
module.exports = (req, res) => byName(req.query.name).then((rows) => res.json(rows));
