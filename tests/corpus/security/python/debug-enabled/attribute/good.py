import logging
from flask import Flask
app = Flask(__name__)
app.debug = False
logging.debug(True)
