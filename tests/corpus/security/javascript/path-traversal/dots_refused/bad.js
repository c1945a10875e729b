const fs = require('fs');
app.get('/log', (req, res) => {
  const name = req.query.name;
  if (name.includes('/')) console.warn(name);
  res.json(fs.readFileSync(`logs/${name}`, 'utf8')); // expect: path-traversal
});
