import tarfile

def unpack(path, where):
    with tarfile.open(path) as archive:
        archive.extractall(where)  # expect: path-traversal
