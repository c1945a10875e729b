const maps = { key: '@GOOGLE@' }; // expect: hardcoded-secret
