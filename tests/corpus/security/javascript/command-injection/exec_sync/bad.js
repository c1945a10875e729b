import * as cp from 'node:child_process';
export function convert(req, res) {
  const { file } = req.body;
  cp.execSync(`convert ${file} out.png`); // expect: command-injection
  res.end();
}
