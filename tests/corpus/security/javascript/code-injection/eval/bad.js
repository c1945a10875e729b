app.get('/calc', (req, res) => {
  res.json(eval(req.query.expression)); // expect: code-injection
});
