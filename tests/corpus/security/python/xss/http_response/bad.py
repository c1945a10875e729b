from django.http import HttpResponse

def show(request):
    return HttpResponse("<p>" + request.GET.get("q", "") + "</p>")  # expect: xss
