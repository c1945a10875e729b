const fs = require('fs-extra');
function store(name, data) {
  fs.writeFileSync('data/' + name, data); // expect: path-traversal
}
app.post('/store', (req, res) => {
  store(req.body.name, req.body.data);
  res.end();
});
