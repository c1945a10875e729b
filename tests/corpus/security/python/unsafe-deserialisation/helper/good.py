import json
from fastapi import FastAPI, Request
app = FastAPI()

def decode(data):
    return json.loads(data)

@app.post("/m")
async def m(request: Request):
    return decode(await request.body())
