SECRET_KEY: str = "@RANDOM@"  # expect: hardcoded-secret
