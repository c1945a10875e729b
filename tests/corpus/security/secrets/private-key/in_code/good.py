if "-----BEGIN PRIVATE KEY-----" in text:
    raise ValueError("a private key")
