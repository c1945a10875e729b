const { Pool } = require('pg');
const pool = new Pool();
router.get('/x', async (ctx) => {
  const { id } = ctx.request.query;
  ctx.body = await pool.query('SELECT * FROM x WHERE id = ' + id); // expect: sql-injection
});
