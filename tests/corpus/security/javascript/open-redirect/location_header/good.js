app.get('/out', (req, res) => {
  res.setHeader('Location', `/items/${req.query.id}`);
  res.setHeader('X-Request', req.query.url);
  res.status(302).end();
});
