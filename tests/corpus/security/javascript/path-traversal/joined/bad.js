const path = require('path');
const { createReadStream } = require('fs');
const ROOT = '/srv/files';
app.get('/f/:name', (req, res) => {
  const file = path.join(ROOT, req.params.name);
  createReadStream(file).pipe(res); // expect: path-traversal
});
