Client.new("@LONG@") # expect: hardcoded-secret
