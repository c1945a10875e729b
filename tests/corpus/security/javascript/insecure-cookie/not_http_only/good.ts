export function login(req: Request, res: Response) {
  res.cookie('jwt', token, cookieOptions);
  res.cookie('jwt', token, { ...cookieOptions, path: '/' });
}
