var seed = "@LONG@" // expect: hardcoded-secret
