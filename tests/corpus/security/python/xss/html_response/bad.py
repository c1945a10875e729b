from fastapi import FastAPI
from fastapi.responses import HTMLResponse
app = FastAPI()

@app.get("/x", response_class=HTMLResponse)
def x(title: str):
    return HTMLResponse(content=f"<title>{title}</title>")  # expect: xss
