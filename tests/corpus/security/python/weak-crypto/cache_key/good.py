import hashlib

class Cache:
    def get_cache_key(self, name):
        return hashlib.sha1(name.encode()).hexdigest()
