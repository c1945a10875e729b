app.post('/login', (req, res) => {
  res.cookie('session', id, { httpOnly: true, secure: true });
  res.cookie('theme', 'dark');
});
