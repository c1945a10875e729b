import asyncio
from fastapi import FastAPI
app = FastAPI()

@app.get("/dig")
async def dig(domain: str):
    process = await asyncio.create_subprocess_exec("dig", "+short", domain)
    await process.wait()
