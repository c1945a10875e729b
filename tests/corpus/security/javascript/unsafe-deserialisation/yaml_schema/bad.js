const yaml = require('js-yaml');
const config = yaml.load(text, { schema: yaml.DEFAULT_FULL_SCHEMA }); // expect: unsafe-deserialisation
module.exports = config;
