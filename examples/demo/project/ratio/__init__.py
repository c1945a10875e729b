"""Fractions in lowest terms."""

from ratio.fraction import Fraction
from ratio.gcd import gcd

__all__ = ["Fraction", "gcd"]
