app.post('/login', (req, res) => {
  res.cookie('auth_token', token, { httpOnly: true, secure: process.env.NODE_ENV === 'production' });
});
