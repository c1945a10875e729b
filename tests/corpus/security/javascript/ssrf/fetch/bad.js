app.get('/proxy', async (req, res) => {
  const reply = await fetch(req.query.url); // expect: ssrf
  reply.body.pipe(res);
});
