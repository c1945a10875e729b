app.post('/login', (req, res) => {
  res.cookie('auth_token', token, { httpOnly: true, secure: false }); // expect: insecure-cookie
});
