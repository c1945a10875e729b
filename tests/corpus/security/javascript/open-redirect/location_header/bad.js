app.get('/out', (req, res) => {
  res.setHeader('Location', req.query.url); // expect: open-redirect
  res.status(302).end();
});
