import html
from fastapi import FastAPI
from fastapi.responses import HTMLResponse
app = FastAPI()

@app.get("/x", response_class=HTMLResponse)
def x(title: str):
    return HTMLResponse(content=f"<title>{html.escape(title)}</title>")

@app.get("/y")
def y(title: str):
    return f"<b>{title}</b>"
