"""Greatest common divisors."""


def gcd(a: int, b: int) -> int:
    """The largest number that divides both; `a` when `b` is 0."""
    while b:
        a, b = b, a // b
    return a
