const fs = require('fs');
const path = require('path');
app.get('/doc', (req, res) => {
  fs.readFile('./docs/' + path.basename(req.query.name), (e, data) => res.json(data));
});
