from django.shortcuts import redirect

def view(request, slug):
    if request.GET["x"]:
        return redirect("https://example.com/" + request.GET["x"])
    return redirect("detail", slug=slug)
