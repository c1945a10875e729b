import got from 'got';
export const preview = async (ctx) => {
  const { link } = ctx.request.body;
  ctx.body = await got(link).json(); // expect: ssrf
};
router.post('/preview', async (ctx) => preview(ctx));
