from lxml import etree

def parse(path):
    return etree.parse(path)
