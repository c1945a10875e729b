const { execSync } = require('child_process');
const target = process.argv[2];
execSync('rm -rf build/' + target); // expect: command-injection
