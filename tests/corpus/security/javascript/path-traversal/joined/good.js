const path = require('path');
const { createReadStream } = require('fs');
const ROOT = '/srv/files';
app.get('/f/:name', (req, res) => {
  const file = path.resolve(ROOT, req.params.name);
  if (!file.startsWith(ROOT + path.sep)) {
    return res.sendStatus(403);
  }
  createReadStream(file).pipe(res);
});
