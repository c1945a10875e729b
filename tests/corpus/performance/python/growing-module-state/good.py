_CACHE = {}
history = []
HANDLERS = {}
names = []
waiting = []
current = {}
_table = {"a": 1}


def compute(key):
    if len(_CACHE) > 100:
        _CACHE.clear()
    _CACHE[key] = key * 2
    return _CACHE[key]


def handle(request):
    history.append(request.path)
    del history[:-100]


def register(name, function):
    HANDLERS[name] = function


for name in ("a", "b"):
    names.append(name)


def put(item):
    waiting.append(item)


def take():
    return waiting.pop()


def local(item):
    names = []
    names.append(item)
    return names


def swap(value):
    global current
    current = {}
    current[value] = 1


def fixed():
    _table["b"] = 2


models = []


def prepare(known):
    for name in known:
        models.append(name)


prepare({"a": 1})


running = set()


def begin(task):
    running.add(task)
    task.add_done_callback(running.discard)
