const https = require('https');
const agent = new https.Agent({ rejectUnauthorized: true, ca });
module.exports = agent;
