const TARGETS = ['/', '/account'];
app.get('/login', (req, res) => {
  const back = TARGETS.includes(req.query.back) ? req.query.back : '/';
  res.redirect(302, back);
});
