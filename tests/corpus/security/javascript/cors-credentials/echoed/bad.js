app.use((req, res, next) => {
  res.header('Access-Control-Allow-Origin', req.headers.origin); // expect: cors-credentials
  res.header('Access-Control-Allow-Credentials', true);
  next();
});
