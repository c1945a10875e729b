const _ = require('lodash');
app.put('/prefs', (req, res) => {
  _.merge(preferences, { theme: req.body.theme });
  res.json(_.pick(req.body, ['a']));
});
