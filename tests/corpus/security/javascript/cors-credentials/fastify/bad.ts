import cors from '@fastify/cors';
fastify.register(cors, { origin: true, credentials: true }); // expect: cors-credentials
