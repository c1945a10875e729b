router.post('/e', (req, res) => {
  const options = new Map();
  for (const key in req.query) {
    options.set(key, true);
  }
  for (const key in defaults) {
    result[key] = defaults[key];
  }
  res.end();
});
