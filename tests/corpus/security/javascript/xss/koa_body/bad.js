router.get('/k', async (ctx) => {
  ctx.type = 'html';
  ctx.body = `<p>${ctx.query.text}</p>`; // expect: xss
});
