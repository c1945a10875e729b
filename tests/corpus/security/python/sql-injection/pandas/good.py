import pandas as pd
from flask import request

def frame(engine):
    city = request.args["city"]
    return pd.read_sql("SELECT * FROM weather WHERE city = %(city)s", engine, params={"city": city})
