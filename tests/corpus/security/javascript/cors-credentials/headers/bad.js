app.use((req, res, next) => {
  res.setHeader('Access-Control-Allow-Origin', '*'); // expect: cors-credentials
  res.setHeader('Access-Control-Allow-Credentials', 'true');
  next();
});
