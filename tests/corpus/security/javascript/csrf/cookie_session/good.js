import express from 'express';
import cookieSession from 'cookie-session';
const app = express();
app.use(cookieSession({ keys, sameSite: 'strict' }));
app.delete('/account', remove);
