def view(request):
    source = request.body.decode()
    scope = {}
    exec(source, scope)  # expect: code-injection
    return scope
