import { promises as fs } from 'fs';
import path from 'path';
export async function remove(req: Request, res: Response) {
  await fs.unlink(path.join('uploads', req.body.file)); // expect: path-traversal
  res.end();
}
