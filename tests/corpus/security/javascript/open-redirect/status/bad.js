app.get('/login', (req, res) => {
  const back = req.query.back || '/';
  res.redirect(302, back); // expect: open-redirect
});
