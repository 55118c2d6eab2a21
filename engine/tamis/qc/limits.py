"""Limits by name: one vocabulary for recipes, tables of thresholds, what is learnt, and the manifest."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import polars as pl

from tamis.arguments import fits
from tamis.errors import ArgumentError, nearest
from tamis.names import AnyPath, at_home
from tamis_kernels.sensor import FAIL, NEVER, TESTS, WIDEST, Limits

if TYPE_CHECKING:
    from collections.abc import Sequence

TEST_OF = {
    "suspect_low": "range",
    "suspect_high": "range",
    "fail_low": "range",
    "fail_high": "range",
    "spike": "spike",
    "spike_fail": "spike",
    "spike_differential": "spike",
    "spike_differential_fail": "spike",
    "rate": "rate",
    "rate_fail": "rate",
    "flat": "flat",
    "flat_fail": "flat",
    "flat_tolerance": "flat",
    "rest": "flat",
    "flat_at_rest": "flat",
    "attenuated": "attenuated",
    "attenuated_window": "attenuated",
    "gap": "gap",
    "rail_low": "saturated",
    "rail_high": "saturated",
    "hampel": "hampel",
    "hampel_window": "hampel",
    "hampel_floor": "hampel",
    "period": "jitter",
    "jitter": "jitter",
    "drift": "drift",
}
"""Each limit and the test that it belongs to; durations are in seconds, all else in the unit of the value."""

SECONDS = frozenset({"flat", "flat_fail", "flat_at_rest", "attenuated_window", "gap", "period", "jitter", "drift"})
MODIFIERS = frozenset({"flat_tolerance", "rest", "flat_at_rest", "attenuated_window", "hampel_window", "hampel_floor", "period"})
"""Parameters of tests; a test is made only where its limit is given too."""
HAMPEL = {"hampel_window": 21.0, "hampel": 3.0, "hampel_floor": 0.0}
KEYS = ("sensor", "column")
Row = dict[str, Any]


def read_rows(path: AnyPath) -> list[Row]:
    """Read a table of thresholds: CSV, Parquet, or TOML with `[[limits]]`.

    Raises
    ------
    ArgumentError
        It cannot be read, or is none of these.
    """
    file = at_home(path)
    try:
        if file.suffix == ".toml":
            rows = tomllib.loads(file.read_text(encoding="utf-8")).get("limits", [])
        elif file.suffix in (".parquet", ".pq"):
            rows = pl.read_parquet(file).to_dicts()
        else:
            rows = pl.read_csv(file, schema_overrides=dict.fromkeys(KEYS, pl.String)).to_dicts()
    except (OSError, ValueError, pl.exceptions.PolarsError) as error:
        message = f"the thresholds {str(file)!r} cannot be read: {error}; give a CSV, Parquet or TOML file"
        raise ArgumentError(message) from None
    return [{name: value for name, value in row.items() if value is not None and value != ""} for row in rows]


def checked_rows(rows: Sequence[Mapping[str, Any]]) -> tuple[Row, ...]:
    """Return rows of thresholds with every limit a number.

    Raises
    ------
    ArgumentError
        A name is not known, a value is no number, or the limits of a row contradict each other.
    """
    known = (*KEYS, *TEST_OF)
    out: list[Row] = []
    for number, row in enumerate(rows, 1):
        clean: Row = {}
        if not isinstance(row, Mapping):
            message = f"row {number} of the limits must be limits by name, such as {{'fail_low': -40}}, got {row!r}"
            raise ArgumentError(message)
        for name, value in row.items():
            if name not in known:
                message = f"row {number} of the limits has the unknown key {name!r}.{nearest(name, known)} Known: {', '.join(known)}"
                raise ArgumentError(message)
            if name in KEYS:
                clean[name] = str(value)
            elif not fits(value, float) or math.isnan(value):
                message = f"row {number} of the limits has {name} = {value!r}, which is no number"
                raise ArgumentError(message)
            else:
                clean[name] = float(value)
        try:
            Thresholds({name: value for name, value in clean.items() if name in TEST_OF}).check()
        except ArgumentError as error:
            message = f"row {number} of the limits: {error}"
            raise ArgumentError(message) from None
        out.append(clean)
    return tuple(out)


@dataclass(frozen=True, slots=True)
class Thresholds:
    """The limits of one series by name, and which of them were learnt.

    Attributes
    ----------
    values
        By name, those of `TEST_OF`.
    learnt
        Names of those that came from the series itself.
    """

    values: Mapping[str, float] = field(default_factory=dict)
    learnt: frozenset[str] = frozenset()

    @classmethod
    def of(cls, rows: Sequence[Mapping[str, Any]], sensor: str | None, column: str) -> Thresholds:
        """Return what the rows say of a series: a row that names sensor and column comes before one that names less; of equals the last."""
        fitting = [row for row in rows if row.get("sensor", sensor) == sensor and row.get("column", column) == column]
        fitting.sort(key=lambda row: 2 * ("sensor" in row) + ("column" in row))
        return cls({name: value for row in fitting for name, value in row.items() if name in TEST_OF})

    def tests(self) -> set[str]:
        """Return the tests that have limits."""
        return {TEST_OF[name] for name in self.values if name not in MODIFIERS}

    def with_learnt(self, found: Mapping[str, float]) -> Thresholds:
        """Return these and what was learnt for tests that have no limit yet."""
        stated = self.tests()
        new = {name: value for name, value in found.items() if TEST_OF[name] not in stated and name not in self.values}
        return Thresholds({**self.values, **new}, self.learnt | set(new))

    def get(self, name: str) -> float | None:
        """Return a limit, or None."""
        return self.values.get(name)

    def limits(self, sentinels: Sequence[float] = (), period: float | None = None) -> Limits:
        """Return the limits of the kernel; `period` where none is stated and a test needs one.

        Raises
        ------
        ArgumentError
            Limits contradict each other.
        """
        values = self.values
        tolerance = values.get("flat_tolerance", 0.0)
        grids = "jitter" in values or "drift" in values
        nominal = values.get("period", period) if grids else None
        rails = None
        if self._has("rail_low", "rail_high"):
            rails = (values.get("rail_low", math.nan), values.get("rail_high", math.nan))
        flat = None
        if self._has("flat", "flat_fail"):
            first = values.get("flat", values.get("flat_fail", 0.0))
            flat = (_ns(first), _ns(values["flat_fail"]) if "flat_fail" in values else None)
        return Limits(
            sentinels=tuple(sentinels),
            suspect_span=self._span("suspect"),
            fail_span=self._span("fail"),
            spike=self._pair("spike"),
            spike_differential=self._pair("spike_differential"),
            rate=self._pair("rate"),
            flat_tolerance=tolerance,
            flat=flat,
            attenuated=values.get("attenuated"),
            attenuated_window=_ns(values.get("attenuated_window", 0.0)),
            gap=_ns(values["gap"]) if "gap" in values else None,
            ordered=True,
            rails=rails,
            period=_ns(nominal) if nominal else None,
            jitter=_ns(values["jitter"]) if "jitter" in values and nominal else None,
            drift=_ns(values["drift"]) if "drift" in values and nominal else None,
        )

    def rest(self, sentinels: Sequence[float] = ()) -> tuple[float, Limits] | None:
        """Return the value at which the sensor rests and the limits of runs there, or None where none is given."""
        if "rest" not in self.values or not self._has("flat", "flat_fail"):
            return None
        longest = _ns(self.values["flat_at_rest"]) if "flat_at_rest" in self.values else NEVER
        tolerance = self.values.get("flat_tolerance", 0.0)
        return self.values["rest"], Limits(sentinels=tuple(sentinels), flat_tolerance=tolerance, flat=(longest, None))

    def check(self) -> None:
        """Raise ArgumentError for limits that contradict each other."""
        self.limits(period=1.0).check()
        if "flat_at_rest" in self.values and "rest" not in self.values:
            message = "flat_at_rest needs rest, the value at which the sensor rests"
            raise ArgumentError(message)
        if rest := self.rest():
            rest[1].check()
        window, sigmas, floor = (self.values.get(name, default) for name, default in HAMPEL.items())
        if window % 2 != 1 or not 3 <= window <= WIDEST:
            message = f"hampel_window must be odd, 3 to {WIDEST}, got {window:g}"
            raise ArgumentError(message)
        if sigmas < 0 or floor < 0:
            message = f"hampel and hampel_floor must not be negative, got {sigmas:g} and {floor:g}"
            raise ArgumentError(message)

    def described(self, test: str) -> str:
        """Return the limits of a test in words, for the ledger."""
        return ", ".join(
            f"{name} {value:g}{' s' if name in SECONDS else ''}{' (learnt)' if name in self.learnt else ''}"
            for name, value in self.values.items()
            if TEST_OF[name] == test
        )

    def told(self) -> str:
        """Return all limits in words."""
        return ", ".join(told for test in dict.fromkeys(TEST_OF.values()) if (told := self.described(test)))

    def _has(self, *names: str) -> bool:
        return any(name in self.values for name in names)

    def _span(self, grade: str) -> tuple[float, float] | None:
        if not self._has(f"{grade}_low", f"{grade}_high"):
            return None
        return self.values.get(f"{grade}_low", -math.inf), self.values.get(f"{grade}_high", math.inf)

    def _pair(self, name: str) -> tuple[float, float] | None:
        if not self._has(name, f"{name}_fail"):
            return None
        fail = self.values.get(f"{name}_fail", math.inf)
        return self.values.get(name, fail), fail


def _ns(seconds: float) -> int:
    return round(seconds * 1e9)


def bit_names(bits: pl.Series) -> pl.Series:
    """Return the tests that are set in each value of a column of bits: `range`, or `range:fail` where it fails.

    Parameters
    ----------
    bits
        UInt32, as in the columns `bits` and `NAME__qc`; null gives null.

    Returns
    -------
    Series of List(String), in the order of the tests
    """
    known = bits.unique().drop_nulls()
    named = [_names(value) for value in known.to_list()]
    frame = pl.DataFrame({"bits": known, "names": pl.Series(named, dtype=pl.List(pl.String))})
    return bits.alias("bits").to_frame().join(frame, on="bits", how="left", maintain_order="left")["names"].alias(bits.name)


def _names(bits: int) -> list[str]:
    fails = [bool(bits >> (FAIL + place) & 1) for place in range(len(TESTS))]
    return [f"{test}:fail" if fails[place] else test for place, test in enumerate(TESTS) if bits >> place & 1 or fails[place]]
