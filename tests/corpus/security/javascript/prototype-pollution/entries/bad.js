router.post('/e', (req, res) => {
  for (const key in req.query) {
    options[key] = true; // expect: prototype-pollution
  }
  res.end();
});
