import aiohttp

def connector(context):
    return aiohttp.TCPConnector(ssl=context)
