def load():
    with open("/tmp/report.txt") as stream:
        return stream.read()
