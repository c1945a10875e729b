app.get('/go', (req, res) => {
  res.redirect('/home?next=' + encodeURIComponent(req.query.next));
});
