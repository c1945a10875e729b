export const options = { jwtSecret: '@RANDOM@', expires: '1h' }; // expect: hardcoded-secret
