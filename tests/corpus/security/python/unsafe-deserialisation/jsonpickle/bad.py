import jsonpickle

def view(request):
    return jsonpickle.decode(request.body)  # expect: unsafe-deserialisation
