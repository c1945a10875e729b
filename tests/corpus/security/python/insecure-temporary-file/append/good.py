def log(text):
    open("/var/log/app.log", "a").write(text)
