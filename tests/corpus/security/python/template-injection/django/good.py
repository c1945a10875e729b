from django.template import Template, Context

def view(request):
    return Template("<b>{{ t }}</b>").render(Context({"t": request.POST["t"]}))
