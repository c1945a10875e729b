import requests

def get(url, bundle):
    return requests.get(url, verify=bundle, timeout=3)
