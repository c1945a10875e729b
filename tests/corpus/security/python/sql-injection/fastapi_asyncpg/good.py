import asyncpg
from fastapi import FastAPI
app = FastAPI()

@app.get("/cities/{city_id}")
async def city(city_id: int):
    conn = await asyncpg.connect("postgres://localhost/geo")
    return await conn.fetchrow(f"SELECT * FROM city WHERE id = {city_id}")
