app.post('/settings', (req, res) => {
  for (const key in req.body) {
    if (key === '__proto__' || key === 'constructor') continue;
    settings[key] = req.body[key];
  }
  res.end();
});
