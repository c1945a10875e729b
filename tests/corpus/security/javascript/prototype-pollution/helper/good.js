function copy(into, from) {
  for (const name of ['a', 'b']) {
    into[name] = from[name];
  }
}
app.patch('/c', (req, res) => {
  copy(config, req.body);
  res.end();
});
