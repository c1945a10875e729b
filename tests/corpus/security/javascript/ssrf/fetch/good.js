app.get('/proxy', async (req, res) => {
  const reply = await fetch(`https://api.example.com/items/${req.query.id}`);
  reply.body.pipe(res);
});
