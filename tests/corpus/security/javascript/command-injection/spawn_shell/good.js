const { spawn } = require('child_process');
app.get('/find', (req, res) => {
  spawn('grep', ['-r', '--', req.query.word], { shell: false });
});
