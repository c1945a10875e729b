function compile(body) {
  return new Function('x', body); // expect: code-injection
}
app.post('/f', (req, res) => res.json(compile(req.body.code)(1)));
