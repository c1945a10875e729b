import { promises as fs } from 'fs';
import path from 'path';
export async function remove(req: Request, res: Response) {
  const name = req.body.file.replace(/[^a-z0-9.]/gi, '_');
  await fs.unlink(path.join('uploads', name));
  res.end();
}
