import tempfile

def make():
    return open(tempfile.mktemp(), "w")  # expect: insecure-temporary-file
