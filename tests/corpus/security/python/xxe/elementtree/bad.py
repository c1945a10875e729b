import xml.etree.ElementTree as ET
from flask import request

def parse():
    return ET.fromstring(request.data)  # expect: xxe
