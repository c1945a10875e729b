import pyodbc
from flask.views import MethodView
from flask import request

class Report(MethodView):
    def get(self):
        self.month = request.args["month"]
        return {"rows": self.rows()}

    def rows(self):
        cursor = pyodbc.connect("DSN=w").cursor()
        return cursor.execute("SELECT * FROM r WHERE m = '" + self.month + "'").fetchall()  # expect: sql-injection
