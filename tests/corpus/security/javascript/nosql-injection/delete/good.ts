export async function remove(req: Request, res: Response) {
  const { body } = req;
  if (typeof body.owner !== 'string') return res.status(400).end();
  await this.model.deleteMany({ owner: body.owner });
  res.status(204).end();
}
