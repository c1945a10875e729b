import tornado.web

class Login(tornado.web.RequestHandler):
    def post(self):
        self.redirect(self.get_argument("next", "/"))  # expect: open-redirect
