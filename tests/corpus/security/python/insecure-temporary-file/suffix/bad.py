from tempfile import mktemp

def make():
    path = mktemp(suffix=".csv")  # expect: insecure-temporary-file
    return path
