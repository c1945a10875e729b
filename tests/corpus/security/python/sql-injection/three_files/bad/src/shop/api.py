import sqlite3
from fastapi import FastAPI
from shop.service import Service
app = FastAPI()

@app.get("/products")
def products(brand: str):
    return Service(sqlite3.connect("x.db")).by_brand(brand)
