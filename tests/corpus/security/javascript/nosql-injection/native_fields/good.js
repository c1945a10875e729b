const users = client.db('app').collection('users');
app.post('/login', async (req, res) => {
  const user = await users.findOne({ name: String(req.body.name), password: `${req.body.password}` });
  res.json(user);
});
