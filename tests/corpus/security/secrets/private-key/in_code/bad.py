KEY = "@KEYBEGIN@\n@KEYBODY@\n"  # expect: hardcoded-secret
