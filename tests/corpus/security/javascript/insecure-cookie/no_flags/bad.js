app.post('/login', (req, res) => {
  res.cookie('session', id); // expect: insecure-cookie
});
