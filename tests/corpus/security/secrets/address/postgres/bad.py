DATABASE_URL = "postgresql://svc:@PASS@@db.internal.net:5432/app"  # expect: hardcoded-secret
