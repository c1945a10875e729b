from fastapi import APIRouter, Depends
from pydantic import BaseModel
from sqlalchemy import text
from sqlalchemy.orm import Session
router = APIRouter()

class Query(BaseModel):
    term: str

def get_db():
    yield None

@router.post("/search")
def search(body: Query, db: Session = Depends(get_db)):
    return db.execute(text("SELECT * FROM doc WHERE body LIKE '%" + body.term + "%'")).all()  # expect: sql-injection
