const { Pool } = require('pg');
const pool = new Pool();
router.get('/x', async (ctx) => {
  const id = Number(ctx.request.query.id);
  ctx.body = await pool.query('SELECT * FROM x WHERE id = ' + id);
});
