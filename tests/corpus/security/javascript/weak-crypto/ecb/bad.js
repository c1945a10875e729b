const { createCipheriv } = require('crypto');
const cipher = createCipheriv('aes-128-ecb', key, null); // expect: weak-crypto
module.exports = cipher;
