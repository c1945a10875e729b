import CryptoJS from 'crypto-js';
export const digest = (password) => CryptoJS.SHA256(password).toString();
