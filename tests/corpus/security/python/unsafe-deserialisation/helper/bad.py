import marshal
from fastapi import FastAPI, Request
app = FastAPI()

def decode(data):
    return marshal.loads(data)  # expect: unsafe-deserialisation

@app.post("/m")
async def m(request: Request):
    return decode(await request.body())
