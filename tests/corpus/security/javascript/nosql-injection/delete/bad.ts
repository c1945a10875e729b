export async function remove(req: Request, res: Response) {
  const { body } = req;
  await this.model.deleteMany(body); // expect: nosql-injection
  res.status(204).end();
}
