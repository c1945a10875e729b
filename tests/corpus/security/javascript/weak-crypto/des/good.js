import crypto from 'crypto';
export const make = (key, iv) => crypto.createCipheriv('chacha20-poly1305', key, iv, { authTagLength: 16 });
