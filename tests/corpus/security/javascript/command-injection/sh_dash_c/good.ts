import { spawn } from 'child_process';
export const run = (req: Request, res: Response) => {
  const child = spawn('tar', ['xf', req.body.name]);
  child.stdout.pipe(res);
};
