import { Sequelize } from 'sequelize';
const sequelize = new Sequelize('sqlite::memory:');
router.get('/s', async (req, res) => {
  const found = await sequelize.query('SELECT * FROM s WHERE t = :t', { replacements: { t: req.query.t } });
  res.json(found);
});
