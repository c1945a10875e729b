const crypto = require('crypto');
const hashed = (password, salt) => crypto.scryptSync(password, salt, 64).toString('hex');
const etag = (body) => crypto.createHash('md5').update(body).digest('hex');
module.exports = { hashed, etag };
