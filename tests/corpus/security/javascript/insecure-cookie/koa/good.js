router.post('/l', async (ctx) => {
  ctx.cookies.set('sid', id, { httpOnly: true, secure: true });
  ctx.cookies.set('lang', 'en');
});
