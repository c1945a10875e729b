from pathlib import Path
from fastapi import FastAPI, HTTPException
app = FastAPI()
ROOT = Path("/srv")

@app.get("/doc")
def doc(name: str):
    path = (ROOT / name).resolve()
    if not path.is_relative_to(ROOT):
        raise HTTPException(404)
    return {"text": path.read_text()}
