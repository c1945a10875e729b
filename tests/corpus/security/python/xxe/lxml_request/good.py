from lxml import etree
from flask import request

def parse():
    parser = etree.XMLParser(resolve_entities=False)
    return etree.fromstring(request.get_data(), parser=parser)
