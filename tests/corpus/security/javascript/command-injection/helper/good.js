const cp = require('child_process');
const quote = require('shell-quote').quote;
const shell = (command) => cp.exec(command);
app.post('/zip', (req, res) => {
  shell('zip a.zip ' + quote([req.body.path]));
  res.end();
});
