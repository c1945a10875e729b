const crypto = require('crypto');
const hashed = (password) => crypto.createHash('md5').update(password).digest('hex'); // expect: weak-crypto
module.exports = hashed;
