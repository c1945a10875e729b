import tornado.web

class Login(tornado.web.RequestHandler):
    def post(self):
        self.redirect("/home?from=" + self.get_argument("next", "/"))
