from fastapi import FastAPI
from fastapi.responses import RedirectResponse
app = FastAPI()

@app.get("/out")
def out(page: str):
    return RedirectResponse(f"/pages/{page}")
