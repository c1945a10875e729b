def dump(data):
    with open("/tmp/image.png", "wb") as stream:  # expect: insecure-temporary-file
        stream.write(data)
