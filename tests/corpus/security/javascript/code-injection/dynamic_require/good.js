const PLUGINS = { a: require('./plugins/a'), b: require('./plugins/b') };
app.get('/plugin', (req, res) => {
  const plugin = PLUGINS[req.query.name];
  res.json(plugin.info);
});
