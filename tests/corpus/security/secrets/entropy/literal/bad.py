client = Client("@LONG@")  # expect: hardcoded-secret
