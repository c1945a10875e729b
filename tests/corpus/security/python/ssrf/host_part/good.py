import httpx
from fastapi import FastAPI
app = FastAPI()

@app.get("/status")
async def status(host: str):
    async with httpx.AsyncClient() as client:
        answer = await client.get(f"https://status.example.com/{host}", params={"h": host})
    return answer.json()
