const yaml = require('js-yaml');
const config = yaml.load(text, { schema: yaml.JSON_SCHEMA });
module.exports = [config, yaml.load(text)];
