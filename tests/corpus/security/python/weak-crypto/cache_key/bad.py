import hashlib

def remember(password, store):
    store["password_hash"] = hashlib.sha1(password.encode()).hexdigest()  # expect: weak-crypto
