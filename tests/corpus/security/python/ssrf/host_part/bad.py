import httpx
from fastapi import FastAPI
app = FastAPI()

@app.get("/status")
async def status(host: str):
    async with httpx.AsyncClient() as client:
        answer = await client.get(f"https://{host}/status")  # expect: ssrf
    return answer.json()
