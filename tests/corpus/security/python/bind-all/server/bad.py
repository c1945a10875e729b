import asyncio

async def main(handle):
    await asyncio.start_server(handle, "::", 8000)  # expect: bind-all
