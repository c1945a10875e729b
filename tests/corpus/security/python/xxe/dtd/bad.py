from lxml import etree

def parse(path):
    return etree.parse(path, etree.XMLParser(load_dtd=True, no_network=False))  # expect: xxe
