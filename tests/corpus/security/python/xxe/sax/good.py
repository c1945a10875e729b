import xml.sax
from xml.sax.handler import feature_external_ges

def parse(stream):
    parser = xml.sax.make_parser()
    parser.setFeature(feature_external_ges, False)
    parser.parse(stream)
