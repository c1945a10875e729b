import pandas as pd
from flask import request

def frame(engine):
    city = request.args["city"]
    return pd.read_sql(f"SELECT * FROM weather WHERE city = '{city}'", engine)  # expect: sql-injection
