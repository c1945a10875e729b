import { randomInt } from 'crypto';
export const otp = (): number => randomInt(100000, 1000000);
export const color = (): number => Math.floor(Math.random() * 255);
