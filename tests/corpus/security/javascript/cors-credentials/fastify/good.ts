import cors from '@fastify/cors';
fastify.register(cors, { origin: ['https://a.example'], credentials: true });
