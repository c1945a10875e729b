import { createHash } from 'node:crypto';
export const signature = (data: string) => createHash('sha1').update(data).digest('hex'); // expect: weak-crypto
