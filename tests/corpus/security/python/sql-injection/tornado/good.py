import tornado.web

class Search(tornado.web.RequestHandler):
    async def get(self):
        term = self.get_argument("q")
        rows = await self.application.db.execute("SELECT * FROM a WHERE b = %s", (term,))
        self.finish({"rows": rows})
