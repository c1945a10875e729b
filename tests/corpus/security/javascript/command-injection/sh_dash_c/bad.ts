import { spawn } from 'child_process';
export const run = (req: Request, res: Response) => {
  const child = spawn('sh', ['-c', `tar xf ${req.body.name}`]); // expect: command-injection
  child.stdout.pipe(res);
};
