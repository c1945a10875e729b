from django.template import Template, Context

def view(request):
    return Template(f"<b>{request.POST['t']}</b>").render(Context({}))  # expect: template-injection
