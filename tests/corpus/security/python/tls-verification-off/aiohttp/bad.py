import aiohttp

def connector():
    return aiohttp.TCPConnector(ssl=False)  # expect: tls-verification-off
