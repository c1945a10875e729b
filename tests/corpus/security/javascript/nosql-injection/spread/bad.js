app.put('/a', async (req, res) => {
  await Account.updateOne({ ...req.body }, { $set: { seen: true } }); // expect: nosql-injection
  res.end();
});
