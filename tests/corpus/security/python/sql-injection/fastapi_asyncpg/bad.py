import asyncpg
from fastapi import FastAPI
app = FastAPI()

@app.get("/cities/{name}")
async def city(name: str):
    conn = await asyncpg.connect("postgres://localhost/geo")
    return await conn.fetchrow(f"SELECT * FROM city WHERE name = '{name}'")  # expect: sql-injection
