const knex = require('knex')({ client: 'pg' });
app.get('/k', async (req, res) => {
  res.json(await knex('t').where('a', req.query.a).orderBy('b'));
});
