var token = "@JWT@" // expect: hardcoded-secret
