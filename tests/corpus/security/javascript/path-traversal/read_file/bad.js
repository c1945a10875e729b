const fs = require('fs');
app.get('/doc', (req, res) => {
  fs.readFile('./docs/' + req.query.name, (e, data) => res.json(data)); // expect: path-traversal
});
