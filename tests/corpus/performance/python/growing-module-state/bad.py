_CACHE = {}
history = []
_seen = set()
by_user: dict = {}


def compute(key):
    if key not in _CACHE:
        _CACHE[key] = key * 2  # expect: growing-module-state
    return _CACHE[key]


def handle(request):
    history.append(request.path)  # expect: growing-module-state
    return request.path


def once(event):
    if event.id in _seen:
        return False
    _seen.add(event.id)  # expect: growing-module-state
    return True


def login(user, now):
    by_user[user.id] = now  # expect: growing-module-state
