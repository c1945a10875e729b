fastify.post('/l', async (request, reply) => {
  reply.setCookie('sessionid', id, { path: '/' }); // expect: insecure-cookie
});
