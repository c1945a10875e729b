def dump(text):
    with open("/tmp/report.txt", "w") as stream:  # expect: insecure-temporary-file
        stream.write(text)
