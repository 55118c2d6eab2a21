"""Numbers and names as the report prints them."""

from __future__ import annotations


def number(value: float) -> str:
    """Return a count with its thousands apart, or a measure with as many digits as it deserves."""
    if isinstance(value, int) or value.is_integer():
        return f"{int(value):,}"
    return f"{value:,.3g}" if abs(value) < 1_000 else f"{value:,.0f}"


def share(part: int, whole: int) -> str:
    """Return a part of a whole as a percentage; a small part is never rounded to none, nor a large one to all."""
    if whole == 0 or part == 0:
        return "0 %"
    percent = 100 * part / whole
    if percent < 0.1:
        return "< 0.1 %"
    if part < whole and percent > 99.9:
        return "> 99.9 %"
    return f"{percent:.1f} %" if part < whole else "100 %"


def size(count: float) -> str:
    """Return a number of bytes with a decimal prefix."""
    prefixes = iter(("", "k", "M", "G", "T", "P"))
    prefix = next(prefixes)
    while abs(count) >= 999.5 and prefix != "P":
        count /= 1_000
        prefix = next(prefixes)
    return f"{count:.3g} {prefix}B"


def words(name: str) -> str:
    """Return the name of a check or reason as words."""
    return name.replace("_", " ")


def duration(seconds: float) -> str:
    """Return a time span in the units that a reader would use."""
    if seconds < 60:
        return f"{seconds:.3g} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"
