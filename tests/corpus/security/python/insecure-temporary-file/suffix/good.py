from tempfile import mkstemp

def make():
    handle, path = mkstemp(suffix=".csv")
    return handle, path
