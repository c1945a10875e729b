import functools
from functools import cache, lru_cache


class Shape:
    @lru_cache(maxsize=None)  # expect: method-cache-leak
    def area(self):
        return 1

    @functools.lru_cache(None)  # expect: method-cache-leak
    def size(self, scale):
        return scale

    @cache
    def outline(self):  # expect: method-cache-leak
        return ()

    @functools.cache
    def name(self, language):  # expect: method-cache-leak
        return language
