import tarfile
import zipfile

def unpack(path, where):
    with tarfile.open(path) as archive:
        archive.extractall(where, filter="data")
    with zipfile.ZipFile(path) as archive:
        archive.extractall(where)
