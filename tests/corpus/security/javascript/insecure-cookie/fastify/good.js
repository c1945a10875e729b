fastify.post('/l', async (request, reply) => {
  reply.setCookie('sessionid', id, { path: '/', httpOnly: true, secure: true });
});
