const setup = { seed: '@LONG@' }; // expect: hardcoded-secret
