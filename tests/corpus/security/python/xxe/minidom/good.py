from xml.dom import minidom

def view(request):
    return minidom.parseString("<a/>"), minidom.parse("layout.xml")
