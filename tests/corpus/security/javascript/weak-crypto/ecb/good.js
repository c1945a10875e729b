const { createCipheriv } = require('crypto');
const cipher = createCipheriv('aes-128-ctr', key, iv);
module.exports = cipher;
