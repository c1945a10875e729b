import { getRepository } from 'typeorm';
export async function find(req, res) {
  const users = await getRepository(User)
    .createQueryBuilder('user')
    .where("user.name = '" + req.query.name + "'") // expect: sql-injection
    .getMany();
  res.json(users);
}
