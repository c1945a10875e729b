import aiohttp
from aiohttp import web

async def proxy(request):
    target = request.query["target"]
    async with aiohttp.ClientSession() as session:
        async with session.get(target) as answer:  # expect: ssrf
            return web.json_response(await answer.json())
