import { getRepository } from 'typeorm';
export async function find(req, res) {
  const users = await getRepository(User)
    .createQueryBuilder('user')
    .where('user.name = :name', { name: req.query.name })
    .getMany();
  res.json(users);
}
