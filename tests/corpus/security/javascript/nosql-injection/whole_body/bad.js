app.post('/login', async (req, res) => {
  const user = await User.findOne(req.body); // expect: nosql-injection
  res.json(user);
});
