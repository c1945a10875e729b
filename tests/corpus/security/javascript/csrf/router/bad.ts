import express, { Router } from 'express';
import session from 'express-session';
const router = Router();
router.use(session({ secret: key })); // expect: csrf
router.post('/a', create);
