import crypto from 'crypto';
export const make = (key, iv) => crypto.createCipheriv('des-ede3-cbc', key, iv); // expect: weak-crypto
