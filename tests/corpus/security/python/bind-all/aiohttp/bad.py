from aiohttp import web
web.run_app(web.Application(), host="0.0.0.0")  # expect: bind-all
