app.get('/p', (req, res) => {
  const profile = JSON.parse(req.cookies.profile);
  res.json(profile);
});
