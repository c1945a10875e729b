const fs = require('fs');
const path = require('path');
const CONFIG = process.env.CONFIG || 'config.json';
app.get('/log', (req, res) => {
  const name = req.query.name;
  if (name.includes('..') || path.isAbsolute(name)) return res.status(400).end();
  res.json(fs.readFileSync(`logs/${name}`, 'utf8') + fs.readFileSync(CONFIG));
});
