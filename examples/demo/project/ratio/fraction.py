"""A fraction that is always in lowest terms."""

from __future__ import annotations

from dataclasses import dataclass

from ratio.gcd import gcd


@dataclass(frozen=True)
class Fraction:
    """numerator / denominator; the denominator is positive."""

    numerator: int
    denominator: int

    def __post_init__(self) -> None:
        if self.denominator <= 0:
            raise ValueError(f"the denominator must be positive, not {self.denominator}")
        common = gcd(self.denominator, abs(self.numerator))
        object.__setattr__(self, "numerator", self.numerator // common)
        object.__setattr__(self, "denominator", self.denominator // common)

    def __add__(self, other: Fraction) -> Fraction:
        return Fraction(
            self.numerator * other.denominator + other.numerator * self.denominator,
            self.denominator * other.denominator,
        )

    def __str__(self) -> str:
        return f"{self.numerator}/{self.denominator}"
