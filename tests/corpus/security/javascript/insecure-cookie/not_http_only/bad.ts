export function login(req: Request, res: Response) {
  res.cookie('jwt', token, { secure: true }); // expect: insecure-cookie
}
