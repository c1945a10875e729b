import asyncio
import bottle
bottle.run(host="localhost")
asyncio.Runner(debug=False)
