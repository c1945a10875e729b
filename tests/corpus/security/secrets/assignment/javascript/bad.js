const config = { apiKey: '@RANDOM@' }; // expect: hardcoded-secret
