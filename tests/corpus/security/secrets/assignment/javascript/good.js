const config = { apiKey: process.env.API_KEY, tokenType: 'access_token', secretName: 'app1-secret' };
const token = 'function';
if (token === 'abcdef12') use(token);
