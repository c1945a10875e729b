router.get('/r', async (ctx) => {
  ctx.redirect(ctx.query.to); // expect: open-redirect
});
