import tempfile

def make():
    return tempfile.NamedTemporaryFile("w")
