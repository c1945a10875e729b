app.post('/login', async (req, res) => {
  const user = await User.findOne({ email: String(req.body.email) });
  res.json(user);
});
