import requests

def get(url):
    return requests.get(url, verify=False, timeout=3)  # expect: tls-verification-off
