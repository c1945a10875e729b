const _ = require('lodash');
app.put('/prefs', (req, res) => {
  _.merge(preferences, req.body); // expect: prototype-pollution
  res.end();
});
