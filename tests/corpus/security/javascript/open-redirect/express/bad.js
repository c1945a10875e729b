app.get('/go', (req, res) => {
  res.redirect(req.query.next); // expect: open-redirect
});
