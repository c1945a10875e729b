const db = require('./database');
function byName(name) {
  return run("SELECT * FROM people WHERE name = '" + name + "'");
}
function run(sql) {
  return db.query(sql); // expect: sql-injection
}
module.exports = (req, res) => byName(req.query.name).then((rows) => res.json(rows));
