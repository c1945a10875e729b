const users = client.db('app').collection('users');
app.post('/login', async (req, res) => {
  const user = await users.findOne({ name: req.body.name, password: req.body.password }); // expect: nosql-injection
  res.json(user);
});
