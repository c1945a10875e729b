import requests

def client():
    session = requests.Session()
    session.verify = "/etc/ssl/ca.pem"
    return session
