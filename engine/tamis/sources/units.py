"""Units of measurement that a number may carry, and the exact conversions between them."""

from __future__ import annotations

import re
from fractions import Fraction
from typing import NamedTuple


class Unit(NamedTuple):
    """A unit: `value in the base unit = value * scale + offset`."""

    quantity: str
    scale: Fraction
    offset: Fraction = Fraction(0)


class Affine(NamedTuple):
    """The conversion `(value * factor + shift) / divisor`, in integers so that round values stay round."""

    factor: int
    shift: int
    divisor: int


def _unit(quantity: str, scale: str | int | Fraction, offset: str | Fraction = "0") -> Unit:
    return Unit(quantity, Fraction(scale), Fraction(offset))


# Names are case-sensitive: a mW is not a MW. The first of several equal units is the one a column is brought to.
UNITS: dict[str, Unit] = {
    "°C": _unit("temperature", 1),
    "°F": _unit("temperature", Fraction(5, 9), Fraction(-160, 9)),
    "K": _unit("temperature", 1, "-273.15"),
    "Pa": _unit("pressure", 1),
    "hPa": _unit("pressure", 100),
    "kPa": _unit("pressure", 1000),
    "MPa": _unit("pressure", 1_000_000),
    "mbar": _unit("pressure", 100),
    "bar": _unit("pressure", 100_000),
    "psi": _unit("pressure", "6894.757293168"),
    "m/s": _unit("speed", 1),
    "km/h": _unit("speed", Fraction(5, 18)),
    "mph": _unit("speed", "0.44704"),
    "kn": _unit("speed", Fraction(1852, 3600)),
    "m": _unit("length", 1),
    "km": _unit("length", 1000),
    "cm": _unit("length", "0.01"),
    "mm": _unit("length", "0.001"),
    "ft": _unit("length", "0.3048"),
    "in": _unit("length", "0.0254"),
    "kg": _unit("mass", 1),
    "g": _unit("mass", "0.001"),
    "mg": _unit("mass", "0.000001"),
    "lb": _unit("mass", "0.45359237"),
    "V": _unit("voltage", 1),
    "mV": _unit("voltage", "0.001"),
    "kV": _unit("voltage", 1000),
    "A": _unit("current", 1),
    "mA": _unit("current", "0.001"),
    "W": _unit("power", 1),
    "mW": _unit("power", "0.001"),
    "kW": _unit("power", 1000),
    "MW": _unit("power", 1_000_000),
    "Hz": _unit("frequency", 1),
    "kHz": _unit("frequency", 1000),
    "MHz": _unit("frequency", 1_000_000),
    "s": _unit("duration", 1),
    "ms": _unit("duration", "0.001"),
    "%": _unit("percentage", 1),
    "ppm": _unit("parts per million", 1),
}

ALIASES: dict[str, str] = {
    "℃": "°C",
    "ºC": "°C",
    "C": "°C",
    **dict.fromkeys(("degC", "deg_C", "deg C", "Deg C", "degree_C", "degrees_C", "degree_Celsius", "Celsius", "celsius"), "°C"),
    "℉": "°F",
    "ºF": "°F",
    "F": "°F",
    **dict.fromkeys(("degF", "deg_F", "deg F", "Deg F", "degree_F", "degrees_F", "degree_Fahrenheit", "Fahrenheit", "fahrenheit"), "°F"),
    "kph": "km/h",
    "kmh": "km/h",
    "kt": "kn",
    "kts": "kn",
    "lbs": "lb",
    "m s-1": "m/s",
    "Volts": "V",
    "volts": "V",
    **{name: name for name in UNITS},
}


# What a unit is made of, in lower case: with a prefix or without, and as a whole alone.
_PREFIXED = "m|s|g|a|v|w|j|n|l|pa|bar|hz|mol|wh|va|var|ohm|ω|siemens"
_WHOLE = (
    "°|[°º]?[cf]|℃|℉|k|t|h|d|min|hr|sec|deg|degrees?|deg[cf]|celsius|fahrenheit|kelvin|north|east|true|utc|gmt|ts|rn|%|pp[bmt]|psu|pss|[fn]tu|ftu|"
    "rfu|ph|lux|lx|cd|rad|counts?|volts?|amps?|(hour|minute|second|day)s?|rh|sat|cfs|kn|kts?|knots|mph|kph|kmh|ft|in|inhg|mmhg|psi|gal|lbs?|"
    "mi|unitless|dimensionless|adc|dbm?|yyyy|mm|dd|hh|ss"
)
_UNIT = re.compile(f"(?:{_WHOLE}|[kmuµμncdhgt]?(?:{_PREFIXED}))")
_BETWEEN = re.compile(r"[\s/*·.,;:^()\[\]{}_²³0-9+-]+")


def is_unit(text: str) -> bool:
    """Whether a text is a unit of measurement, as loggers write them: `W/m^2`, `degree_C`, `uS cm-1`, `[°C]`, `% sat`."""
    parts = [part for part in _BETWEEN.split(text.strip().lower()) if part]
    return bool(parts) and all(map(_UNIT.fullmatch, parts))


def conversion(source: str, target: str) -> Affine | None:
    """Return how to convert, or None if the two do not measure the same."""
    one, two = UNITS[source], UNITS[target]
    if one.quantity != two.quantity:
        return None
    factor, shift = one.scale / two.scale, (one.offset - two.offset) / two.scale
    divisor = factor.denominator * shift.denominator
    return Affine(int(factor * divisor), int(shift * divisor), divisor)
