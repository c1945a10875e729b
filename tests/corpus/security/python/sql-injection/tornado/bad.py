import tornado.web

class Search(tornado.web.RequestHandler):
    async def get(self):
        term = self.get_argument("q")
        rows = await self.application.db.execute("SELECT * FROM a WHERE b = '{0}'".format(term))  # expect: sql-injection
        self.finish({"rows": rows})
