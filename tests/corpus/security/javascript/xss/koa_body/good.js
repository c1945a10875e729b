router.get('/k', async (ctx) => {
  ctx.body = { text: ctx.query.text };
});
