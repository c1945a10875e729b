import express, { Router } from 'express';
import session from 'express-session';
import { doubleCsrf } from 'csrf-csrf';
const router = Router();
router.use(session({ secret: key }));
router.use(doubleCsrf({ getSecret: () => key }).doubleCsrfProtection);
router.post('/a', create);
