import { createHash } from 'node:crypto';
export const signature = (data: string) => createHash('sha256').update(data).digest('hex');
