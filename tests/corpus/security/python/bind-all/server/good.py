import asyncio

async def main(handle):
    await asyncio.start_server(handle, "::1", 8000)
