"""The mergeable, subtractable state behind mean, variance and standard deviation."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from tamis_kernels.errors import ArgumentError

COUNTERS = ("count", "nan", "positive_infinity", "negative_infinity", "out_of_range")


def _rounded(value: Fraction) -> float:
    """Round an exact number to the nearest float64; beyond the largest one, to infinity."""
    try:
        return value.numerator / value.denominator
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def _rounded_root(value: Fraction) -> float:
    """Round the square root of an exact number to the nearest float64, once."""
    shift = max(0, 64 + (value.denominator.bit_length() - value.numerator.bit_length()) // 2)
    scaled, remainder = divmod(value.numerator << 2 * shift, value.denominator)
    root = math.isqrt(scaled)
    exact = remainder == 0 and root * root == scaled
    # One more bit below 64 good ones says "a little more": it settles ties and nothing else.
    return _rounded(Fraction(2 * root + (not exact), 1 << (shift + 1)))


def _dyadic_text(value: Fraction) -> str:
    return f"{value.numerator:#x}p-{value.denominator.bit_length() - 1}"


def _dyadic_value(text: str) -> Fraction:
    numerator, exponent = text.split("p-")
    return Fraction(int(numerator, 16), 1 << int(exponent))


@dataclass(frozen=True, slots=True)
class Moments:
    """Count, range, exact sum and exact sum of squares of a column.

    `a + b` is the state of both columns together and `a - b` that of `a` without the values of `b`. Both are exact, so the
    state, and each figure drawn from it, depends on the values alone: not on their order, chunks, threads or machines.

    Attributes
    ----------
    count
        Finite values that were summed; -0.0 counts as 0.
    nan, positive_infinity, negative_infinity
        Values that were counted and not summed.
    out_of_range
        Finite values outside the range declared to `accumulate_fixed`; counted and not summed.
    minimum, maximum
        Range of the summed values. None for an empty column, and after a subtraction, which cannot tell what is left.
    total, squares
        The exact sum and sum of squares.
    """

    count: int = 0
    nan: int = 0
    positive_infinity: int = 0
    negative_infinity: int = 0
    out_of_range: int = 0
    minimum: float | None = None
    maximum: float | None = None
    total: Fraction = Fraction(0)
    squares: Fraction = Fraction(0)

    def __add__(self, other: Moments) -> Moments:
        if self.count and other.count:
            known = None not in (self.minimum, other.minimum)
            minimum = min(self.minimum, other.minimum) if known else None  # type: ignore[type-var]
            maximum = max(self.maximum, other.maximum) if known else None  # type: ignore[type-var]
        else:
            minimum, maximum = (self.minimum, self.maximum) if self.count else (other.minimum, other.maximum)
        counts = {name: getattr(self, name) + getattr(other, name) for name in COUNTERS}
        return Moments(
            **counts,
            minimum=minimum,
            maximum=maximum,
            total=self.total + other.total,
            squares=self.squares + other.squares,
        )

    def __sub__(self, other: Moments) -> Moments:
        counts = {name: getattr(self, name) - getattr(other, name) for name in COUNTERS}
        short = [name for name, left in counts.items() if left < 0]
        if short:
            message = (
                f"cannot subtract moments that are no part of these: {short[0]} would become {counts[short[0]]}; "
                "subtract only what was added before"
            )
            raise ArgumentError(message)
        untouched = other.count == 0
        return Moments(
            **counts,
            minimum=self.minimum if untouched else None,
            maximum=self.maximum if untouched else None,
            total=self.total - other.total,
            squares=self.squares - other.squares,
        )

    def mean(self) -> float:
        """Return the mean of the summed values, rounded once; NaN for an empty column."""
        return _rounded(self.total / self.count) if self.count else math.nan

    def _spread(self, ddof: int) -> Fraction:
        return (self.squares - self.total * self.total / self.count) / (self.count - ddof)

    def variance(self, ddof: int = 0) -> float:
        """Return the variance with divisor `count - ddof`, rounded once; NaN when that is not positive."""
        return _rounded(self._spread(ddof)) if self.count > max(ddof, 0) else math.nan

    def std(self, ddof: int = 0) -> float:
        """Return the standard deviation with divisor `count - ddof`, rounded once from the exact variance."""
        return _rounded_root(self._spread(ddof)) if self.count > max(ddof, 0) else math.nan

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-safe dict; the exact sums are written as hexadecimal integers over a power of two."""
        numbers = {name: getattr(self, name) for name in (*COUNTERS, "minimum", "maximum")}
        return {**numbers, "total": _dyadic_text(self.total), "squares": _dyadic_text(self.squares)}

    @classmethod
    def from_dict(cls, state: dict[str, Any]) -> Moments:
        """Return the moments that `to_dict` wrote, bit for bit."""
        return cls(**{**state, "total": _dyadic_value(state["total"]), "squares": _dyadic_value(state["squares"])})
