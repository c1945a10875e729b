import random as rnd

def begin(store):
    store.session_id = "%032x" % rnd.getrandbits(128)  # expect: weak-random
