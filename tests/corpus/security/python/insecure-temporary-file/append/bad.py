def log(text):
    open("/var/tmp/app.log", "a").write(text)  # expect: insecure-temporary-file
