def connect():
    return db.connect(user="app", password="@PASS@")  # expect: hardcoded-secret
