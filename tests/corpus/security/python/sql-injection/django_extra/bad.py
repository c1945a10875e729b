from .models import Entry

def entries(request):
    tag = request.GET["tag"]
    return Entry.objects.extra(where=["tag = '" + tag + "'"])  # expect: sql-injection
