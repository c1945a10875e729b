const filter = (req) => req.query;
router.get('/items', async (req, res) => {
  const where = req.query;
  res.json(await Item.find(where).limit(10)); // expect: nosql-injection
});
