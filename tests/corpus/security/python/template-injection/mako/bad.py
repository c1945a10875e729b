from mako.template import Template

def view(request):
    return Template("Hi " + request.GET["n"]).render()  # expect: template-injection
