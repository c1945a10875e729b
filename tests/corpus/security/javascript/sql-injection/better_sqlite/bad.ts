import Database from 'better-sqlite3';
const db = new Database('a.db');
export function handler(req: Request, res: Response) {
  const order: string = req.query.order as string;
  const rows = db.prepare(`SELECT * FROM t ORDER BY ${order}`).all(); // expect: sql-injection
  res.json(rows);
}
