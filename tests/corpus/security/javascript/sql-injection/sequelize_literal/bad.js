const { Sequelize } = require('sequelize');
const sequelize = new Sequelize('sqlite::memory:');
router.get('/s', async (req, res) => {
  res.json(await Item.findAll({ order: sequelize.literal(req.query.order) })); // expect: sql-injection
});
