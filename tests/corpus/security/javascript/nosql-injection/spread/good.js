app.put('/a', async (req, res) => {
  await Account.updateOne({ _id: req.params.id }, { $set: { seen: true } });
  res.end();
});
