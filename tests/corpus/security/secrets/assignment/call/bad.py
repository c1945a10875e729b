app.config.setdefault("SECRET_KEY", "@RANDOM@")  # expect: hardcoded-secret
