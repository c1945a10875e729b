import ssl

def context():
    made = ssl.create_default_context()
    made.check_hostname = False  # expect: tls-verification-off
    made.verify_mode = ssl.CERT_NONE  # expect: tls-verification-off
    return made
