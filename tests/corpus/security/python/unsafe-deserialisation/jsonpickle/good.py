import jsonpickle

def view(request, thing):
    return jsonpickle.encode(thing)
