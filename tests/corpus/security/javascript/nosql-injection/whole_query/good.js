router.get('/items', async (req, res) => {
  const { kind } = req.query;
  const wanted = items.find((item) => item.id === req.query.id);
  res.json([wanted, await Item.find({ kind: `${kind}` }).limit(10)]);
});
