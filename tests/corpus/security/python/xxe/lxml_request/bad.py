from lxml import etree
from flask import request

def parse():
    return etree.fromstring(request.get_data())  # expect: xxe
