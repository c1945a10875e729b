import { unserialize } from 'node-serialize';
export const load = (req, res) => res.json(unserialize(req.body.state)); // expect: unsafe-deserialisation
