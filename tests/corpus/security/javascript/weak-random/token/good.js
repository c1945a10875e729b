const { randomBytes } = require('crypto');
function createToken() {
  return randomBytes(16).toString('hex');
}
function shuffle(list) {
  return list.sort(() => Math.random() - 0.5);
}
