router.get('/r', async (ctx) => {
  ctx.redirect('/r/' + ctx.params.id);
  ctx.redirect('back');
});
