const fs = require('fs-extra');
function store(name, data) {
  fs.writeFileSync('data/' + name, data);
}
app.post('/store', (req, res) => {
  store(`${Number(req.body.id)}.json`, req.body.data);
  res.end();
});
