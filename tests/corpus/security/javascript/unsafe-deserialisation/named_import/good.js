import { serialize } from 'node-serialize';
export const load = (req, res) => res.json(serialize({ state: 1 }));
