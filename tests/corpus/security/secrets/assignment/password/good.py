def connect():
    return db.connect(user="app", password=os.environ["DB_PASSWORD"])
password = "changeme"
password_label = "Your password is 8 long"
form = Form(password="password")
