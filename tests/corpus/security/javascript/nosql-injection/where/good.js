app.get('/old', async (req, res) => {
  res.json(await db.collection('p').find({ age: { $gt: Number(req.query.age) } }).toArray());
});
