from django.http import HttpResponseRedirect
from django.utils.http import url_has_allowed_host_and_scheme

def done(request):
    to = request.GET["to"]
    if not url_has_allowed_host_and_scheme(to, allowed_hosts={request.get_host()}):
        to = "/"
    return HttpResponseRedirect(to)
