const { execSync } = require('child_process');
const BRANCH = 'main';
execSync('git checkout ' + BRANCH);
console.log(process.argv[2]);
