const knex = require('knex')({ client: 'pg' });
app.get('/k', async (req, res) => {
  res.json(await knex('t').whereRaw(`a = ${req.query.a}`)); // expect: sql-injection
});
