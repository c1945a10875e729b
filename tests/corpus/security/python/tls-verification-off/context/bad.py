import ssl
import urllib.request

def get(url):
    context = ssl._create_unverified_context()  # expect: tls-verification-off
    return urllib.request.urlopen(url, context=context)
