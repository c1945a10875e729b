def view(request):
    source = request.body.decode()
    scope = {"source": source}
    exec("x = 1", scope)
    return scope
