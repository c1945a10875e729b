from urllib.request import urlopen

def view(request):
    with urlopen(request.GET["feed"]) as stream:  # expect: ssrf
        return stream.read()
