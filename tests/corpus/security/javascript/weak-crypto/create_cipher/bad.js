const crypto = require('crypto');
const cipher = crypto.createCipher('aes-256-cbc', key); // expect: weak-crypto
module.exports = cipher;
