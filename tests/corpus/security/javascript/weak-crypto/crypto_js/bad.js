import CryptoJS from 'crypto-js';
export const digest = (password) => CryptoJS.MD5(password).toString(); // expect: weak-crypto
