from pathlib import Path
from fastapi import FastAPI
app = FastAPI()
ROOT = Path("/srv")

@app.get("/doc")
def doc(name: str):
    path = ROOT / name
    return {"text": path.read_text()}  # expect: path-traversal
