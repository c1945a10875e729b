app.post('/settings', (req, res) => {
  for (const key in req.body) {
    settings[key] = req.body[key]; // expect: prototype-pollution
  }
  res.end();
});
