import Database from 'better-sqlite3';
const db = new Database('a.db');
const COLUMNS = ['name', 'date'];
export function handler(req: Request, res: Response) {
  const order: string = req.query.order as string;
  if (!COLUMNS.includes(order)) {
    return res.status(400).end();
  }
  const rows = db.prepare(`SELECT * FROM t ORDER BY ${order}`).all();
  res.json(rows);
}
