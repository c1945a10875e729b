connect('host', '@LONG@'); // expect: hardcoded-secret
