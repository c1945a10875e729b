from django.http import HttpResponse
from django.utils.html import escape

def show(request):
    if request.GET.get("raw"):
        return HttpResponse(request.GET.get("q", ""), content_type="text/plain")
    return HttpResponse("<p>" + escape(request.GET.get("q", "")) + "</p>")
