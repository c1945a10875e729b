const cp = require('child_process');
const quote = require('shell-quote').quote;
const shell = (command) => cp.exec(command); // expect: command-injection
app.post('/zip', (req, res) => {
  shell('zip a.zip ' + req.body.path);
  res.end();
});
