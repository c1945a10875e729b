import got from 'got';
export const preview = async (ctx) => {
  const { link } = ctx.request.body;
  ctx.body = await got('https://preview.example.com', { searchParams: { link } }).json();
};
router.post('/preview', async (ctx) => preview(ctx));
