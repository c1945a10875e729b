app.get('/echo', (req, res) => {
  res.status(200).send(req.query.message); // expect: xss
});
