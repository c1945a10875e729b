from django.http import HttpResponseRedirect

def done(request):
    return HttpResponseRedirect(request.GET["to"])  # expect: open-redirect
