from urllib.request import urlopen

def view(request):
    feed = request.GET["feed"]
    if not feed.startswith("https://feeds.example.com/"):
        raise ValueError(feed)
    with urlopen(feed) as stream:
        return stream.read()
