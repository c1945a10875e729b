router.post('/l', async (ctx) => {
  ctx.cookies.set('sid', id, { httpOnly: false, secure: true }); // expect: insecure-cookie
});
