import pytest

from ratio import Fraction


def test_is_in_lowest_terms() -> None:
    assert str(Fraction(8, 12)) == "2/3"


def test_adds() -> None:
    assert Fraction(1, 6) + Fraction(1, 3) == Fraction(1, 2)


def test_refuses_a_denominator_of_zero() -> None:
    with pytest.raises(ValueError, match="positive"):
        Fraction(1, 0)
