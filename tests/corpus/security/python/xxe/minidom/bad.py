from xml.dom import minidom

def view(request):
    return minidom.parseString(request.body)  # expect: xxe
