app.get('/download', (req, res) => {
  res.sendFile(__dirname + '/public/' + req.query.file); // expect: path-traversal
});
