import { PrismaClient } from '@prisma/client';
const prisma = new PrismaClient();
export default async function handler(req, res) {
  const id = req.query.id;
  res.json(await prisma.$queryRaw`SELECT * FROM "User" WHERE id = ${id}`);
}
