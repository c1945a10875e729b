function compile() {
  return new Function('x', 'return x * 2');
}
app.post('/f', (req, res) => res.json(compile()(req.body.value)));
