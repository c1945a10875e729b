const knex = require('knex')({ client: 'pg' });
app.get('/k', async (req, res) => {
  res.json(await knex.raw("select * from t where a = '" + req.query.a + "'")); // expect: sql-injection
});
