function copy(into, from) {
  for (const name of Object.keys(from)) {
    into[name] = from[name]; // expect: prototype-pollution
  }
}
app.patch('/c', (req, res) => {
  copy(config, req.body);
  res.end();
});
