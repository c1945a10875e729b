import requests

def client():
    session = requests.Session()
    session.verify = False  # expect: tls-verification-off
    return session
