import { readFile } from 'fs/promises';
const SLUGS = new Set(['about', 'help']);
export default async function handler(req, res) {
  if (!SLUGS.has(req.query.slug)) return res.status(404).end();
  const text = await readFile(`content/${req.query.slug}.md`, 'utf8');
  res.json({ text });
}
