export const otp = (): number => Math.floor(100000 + Math.random() * 900000); // expect: weak-random
