const v8 = require('v8');
const copy = (value) => v8.deserialize(v8.serialize(value));
app.post('/state', (req, res) => res.json(copy({ a: 1 })));
