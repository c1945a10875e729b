app.get('/echo', (req, res) => {
  res.status(200).json({ message: req.query.message });
});
app.post('/echo', (req, res) => {
  res.send(req.body);
});
app.get('/plain', (req, res) => {
  res.type('text/plain').send(req.query.message);
});
