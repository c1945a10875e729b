from mako.template import Template

def view(request):
    return Template("Hi ${n}").render(n=request.GET["n"])
