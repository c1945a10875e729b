import express from 'express';
import cookieSession from 'cookie-session';
const app = express();
app.use(cookieSession({ keys })); // expect: csrf
app.delete('/account', remove);
