import { readFile } from 'fs/promises';
export default async function handler(req, res) {
  const text = await readFile(`content/${req.query.slug}.md`, 'utf8'); // expect: path-traversal
  res.json({ text });
}
