app.get('/plugin', (req, res) => {
  const plugin = require('./plugins/' + req.query.name); // expect: code-injection
  res.json(plugin.info);
});
