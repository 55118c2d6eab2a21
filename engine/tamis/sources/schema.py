"""Put tables with the same columns into groups, and decide from the profiles of all their files what each column holds.

Two files belong to one group when their column names are the same but for order, case and white space. A column is a
number, a date, a truth value or a list when `min_share` of its values (missing ones aside) can be read as such in all
files together; otherwise it is text. What a text such as `1,234` or `03/04/2014` means is decided for each file by the
texts in the same column that have one meaning only, then by those of the whole group, then by the options.
"""

from __future__ import annotations

import posixpath
import re
from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import polars as pl

from tamis.names import counted
from tamis.sources.exact import leaves, of_one_unit, with_leaves
from tamis.sources.profile import TEXT_TYPES
from tamis.sources.rows import free_names
from tamis.sources.units import conversion

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from tamis.sources.options import FormatOptions
    from tamis.sources.profile import ColumnProfile
    from tamis.sources.staging import Staged

Kind = Literal["number", "datetime", "boolean", "text", "window", "other"]

SIGNED = pl.Int64()
# One number in a hundred with leading zeros or more than 18 digits makes a column one of identifiers, and so does one that a float would
# round where the column holds fractions too.
IDENTIFIER_SHARE = 0.01
PROSE_LENGTH = 100  # characters that the texts of a column of prose have on average, or more


@dataclass(frozen=True, slots=True)
class ColumnPlan:
    """What a column of a group holds.

    `unit` is the unit that the numbers are brought to; a number without one is taken to be in it already.
    `mean_length` is the mean number of characters of the texts that are not blank, 0 where the column is stored typed.
    `rounds` says that some texts are read as values that are not exactly those that are written.
    `untold` says that no value tells of which kind the column is.
    """

    name: str
    dtype: pl.DataType
    kind: Kind
    unit: str | None = None
    mean_length: float = 0.0
    untold: bool = False
    rounds: bool = False

    @property
    def is_prose(self) -> bool:
        """Whether the column holds texts that are documents, not names."""
        return self.kind == "text" and self.mean_length >= PROSE_LENGTH


@dataclass(frozen=True, slots=True)
class Reading:
    """How one file spells a column: its name there, what its ambiguous texts mean, and the unit of numbers that carry none."""

    source: str
    decimal: Literal[".", ","] = "."
    dot_groups: bool = False
    day_first: bool = True
    unit: str = ""


@dataclass(frozen=True, slots=True)
class TableGroup:
    """Files with the same columns, and their one schema.

    `readings` holds, for each record id of a file, one reading for each of the `columns`.
    """

    name: str
    columns: tuple[ColumnPlan, ...]
    readings: Mapping[str, tuple[Reading, ...]]
    notes: tuple[str, ...] = ()

    @property
    def files(self) -> tuple[str, ...]:
        """The record ids of the group's files, in order."""
        return tuple(self.readings)


def group_tables(tables: Iterable[Staged], options: FormatOptions) -> tuple[TableGroup, ...]:
    """Sort tables into groups and decide the schema of each; the order of the tables makes no difference."""
    families: dict[tuple[str, ...], list[Staged]] = defaultdict(list)
    for table in sorted(tables, key=lambda table: table.record):
        families[tuple(sorted(_keys(table.columns)))].append(table)
    ordered = sorted(families.values(), key=lambda members: members[0].record)
    names = free_names([_group_name([table.record for table in members]) for members in ordered], (), "-")
    return tuple(_group(name, members, options) for name, members in zip(names, ordered, strict=True))


def _keys(names: Sequence[str]) -> list[str]:
    """Return what names are compared by; names of one file that are alike are told apart by their order."""
    seen: Counter[str] = Counter()
    keys = []
    for name in names:
        key = re.sub(r"\s+", "", name.casefold())
        seen[key] += 1
        keys.append(key if seen[key] == 1 else f"{key} {seen[key]}")
    return keys


def _group_name(records: Sequence[str]) -> str:
    """Return the name of the only file, or of the last folder that all lie in."""
    if len(records) == 1:
        name = posixpath.basename(records[0]).lstrip(".").split(".")[0]
    else:
        name = posixpath.basename(posixpath.commonpath([posixpath.dirname(record) for record in records]))
    return re.sub(r"[^\w.\- ]", "_", name).strip(". ") or "tables"


def _group(name: str, members: Sequence[Staged], options: FormatOptions) -> TableGroup:
    by_key = [dict(zip(_keys(table.columns), table.profiles, strict=True)) for table in members]
    columns: list[ColumnPlan] = []
    readings: list[list[Reading]] = []
    notes: list[str] = []
    names = _passable([first.name for first in by_key[0].values()], notes)
    for key, title in zip(by_key[0], names, strict=True):
        profiles = [profiles[key] for profiles in by_key]
        plan = _plan(title, profiles, options, notes)
        columns.append(plan)
        readings.append(_readings(plan, profiles, options, notes))
    by_file = zip((table.record for table in members), zip(*readings, strict=True), strict=True)
    return TableGroup(name, tuple(columns), dict(by_file), tuple(notes))


def _passable(names: Sequence[str], notes: list[str]) -> list[str]:
    """Return names with a sign for each NUL, at which the C interface of Arrow ends a name; of those changed a note."""
    changed = [name for name in names if "\0" in name]
    if not changed:
        return list(names)
    new = dict(zip(changed, free_names([name.replace("\0", "\u2400") for name in changed], names), strict=True))
    notes += [f"the name of the column {name!r} holds a NUL, which cannot be written: it is {title!r} now" for name, title in new.items()]
    return [new.get(name, name) for name in names]


def _plan(name: str, profiles: Sequence[ColumnProfile], options: FormatOptions, notes: list[str]) -> ColumnPlan:
    dtype: pl.DataType
    stored = [profile.dtype for profile in profiles if not isinstance(profile.dtype, TEXT_TYPES)]
    counts = _merged(profiles)
    values = counts["total"] - counts["null"] - counts["blank"] - counts["missing"]
    mean_length = counts["characters"] / max(1, counts["total"] - counts["null"] - counts["blank"])
    unit: str | None = None
    if stored and not values:
        dtype, kind = _unified(stored)
        if kind == "text":
            notes.append(f"column {name!r} is {' or '.join(sorted(set(map(str, stored))))}: it is read as text")
    else:
        kind = _text_kind(name, counts, values, options.min_share, notes)
        dtype = pl.String()
        if kind == "number":
            dtype, unit = _number(name, counts, _merged_units(profiles), notes)
        elif kind == "datetime":
            naive = counts["datetime"] - counts["zoned"]
            if counts["zoned"] and naive:
                said = counted(naive, "times", "name")
                notes.append(f"column {name!r}: {said} no zone beside others that do: taken to be in {options.timezone}")
            dtype = pl.Datetime("ns" if counts["finer"] else "us", "UTC" if counts["zoned"] or counts["epoch"] else None)
        elif kind == "boolean":
            dtype = pl.Boolean()
        elif kind == "window":
            dtype = pl.List(pl.Float64)
    if stored and values:
        stored_dtype, stored_kind = _unified(stored)
        if stored_kind != kind:
            notes.append(f"column {name!r} is {kind} in some files and {stored_dtype} in others: it is read as text")
            return ColumnPlan(name, pl.String(), "text", mean_length=mean_length)
        dtype, _ = _unified([*stored, dtype])
    if kind in ("number", "window") and _loses_numbers(name, dtype, profiles, notes):
        if len(stored) == len(profiles) and all(one.is_decimal() for one in stored):
            notes.append(
                f"column {name!r} holds decimals of more digits than a float has: they stay decimals, and are not taken for readings"
            )
            return ColumnPlan(name, _common(stored), "other")
        notes.append(f"column {name!r} holds whole numbers that {_why_text(dtype)}: it is read as text")
        return ColumnPlan(name, pl.String(), "text", mean_length=mean_length)
    untold = dtype == pl.Null if stored else not values
    rounds = bool(counts["inexact"] if kind != "datetime" else counts["finer"])
    return ColumnPlan(name, dtype, kind, unit, mean_length, untold=untold, rounds=rounds)


def _number(name: str, counts: Counter[str], units: Counter[str], notes: list[str]) -> tuple[pl.DataType, str | None]:
    """Return the type that numbers of text have, and their unit."""
    figures = counts["number"] + counts["grouped"]
    unit = min(units, key=lambda one: (-units[one], one)) if units else None
    if unit and sum(units.values()) < figures:
        notes.append(f"column {name!r}: numbers without a unit are taken to be in {unit}")
    return (pl.Int64() if counts["integer"] == figures and len(units) < 2 else pl.Float64()), unit


def _loses_numbers(name: str, dtype: pl.DataType, profiles: Sequence[ColumnProfile], notes: list[str]) -> bool:
    """Whether numbers, be they in lists, are such as identifiers, by how many of them their type could not hold; a few are told."""
    figures = sum(
        profile.counts["number"] + profile.counts["grouped"] + profile.counts["list"]
        if isinstance(profile.dtype, TEXT_TYPES)
        else profile.counts["total"]
        for profile in profiles
    )
    floats = any(leaf.is_float() for leaf in leaves(dtype))
    told = "inexact" if floats else "unsigned" if dtype == SIGNED else ""
    lost = sum(profile.counts[told] for profile in profiles if profile.dtype != dtype)
    if lost and lost < IDENTIFIER_SHARE * figures and floats:
        many = counted(lost, "values")
        notes.append(
            f"column {name!r}: {many} with more digits than a float can hold: rounded, and told in the notes with what the source has"
        )
    return bool(lost) and lost >= IDENTIFIER_SHARE * figures


def _why_text(dtype: pl.DataType) -> str:
    if dtype == SIGNED:
        return "are too large for a type that holds the negative ones beside them"
    return "a fraction beside them would round"


def _text_kind(name: str, counts: Counter[str], values: int, share: float, notes: list[str]) -> Kind:
    least = share * values
    figures = counts["number"] + counts["grouped"]
    if not values:
        return "text"
    if counts["datetime"] + counts["epoch"] >= least:
        return "datetime"
    if counts["boolean"] and counts["boolean"] + counts["zero_one"] >= least:
        return "boolean"
    if figures >= least:
        if counts["identifier"] < IDENTIFIER_SHARE * figures or not counts["identifier"]:
            return "number"
        notes.append(f"column {name!r} holds figures with leading zeros, a plus or too many digits: it is read as text")
    return "window" if counts["list"] >= least else "text"


def _unified(dtypes: Sequence[pl.DataType]) -> tuple[pl.DataType, Kind]:
    """Return the type that holds all of these stored types, and its kind."""
    dtypes = [one for one in dtypes if one != pl.Null] or dtypes
    dtype = dtypes[0]
    if all(one.is_temporal() and isinstance(one, pl.Date | pl.Datetime) for one in dtypes):
        if any(one != dtype for one in dtypes):
            zoned = any(isinstance(one, pl.Datetime) and one.time_zone for one in dtypes)
            unit: Literal["ns", "us"] = "ns" if any(isinstance(one, pl.Datetime) and one.time_unit == "ns" for one in dtypes) else "us"
            dtype = pl.Datetime(unit, "UTC" if zoned else None)
        return dtype, "datetime"
    if any(one.is_temporal() for one in dtypes) and len({type(one) for one in dtypes}) > 1:
        return pl.String(), "text"  # polars would take the figures behind them for numbers
    try:
        dtype = _common(dtypes)
    except pl.exceptions.PolarsError:
        return pl.String(), "text"
    if isinstance(dtype, pl.Decimal):  # readings, which kernels take as floats
        return (pl.Float64() if dtype.scale else SIGNED), "number"
    if dtype == pl.Int128:  # what holds both signed and unsigned numbers cannot be written
        return SIGNED, "number"
    if _holds_int128(dtype):
        return pl.String(), "text"
    if dtype.is_numeric():
        return dtype, "number"
    if isinstance(dtype, pl.Boolean):
        return dtype, "boolean"
    if isinstance(dtype, TEXT_TYPES):
        return pl.String(), "text"
    if isinstance(dtype, pl.List | pl.Array) and isinstance(dtype.inner, pl.DataType) and dtype.inner.is_numeric():
        return with_leaves(dtype, lambda leaf: pl.Float64() if leaf.is_decimal() else leaf), "window"
    return dtype, "other"


def _common(dtypes: Sequence[pl.DataType]) -> pl.DataType:
    """Return the type that polars would give to rows of these, but that no time or span of it loses digits."""
    empty = (pl.DataFrame(schema={"value": one}) for one in dict.fromkeys(of_one_unit(dtypes)))
    return pl.concat(empty, how="vertical_relaxed").schema["value"]


def _holds_int128(dtype: pl.DataType) -> bool:
    inner = [field.dtype for field in dtype.fields] if isinstance(dtype, pl.Struct) else [getattr(dtype, "inner", None)]
    return dtype == pl.Int128 or any(isinstance(one, pl.DataType) and _holds_int128(one) for one in inner)


def _readings(plan: ColumnPlan, profiles: Sequence[ColumnProfile], options: FormatOptions, notes: list[str]) -> list[Reading]:
    whole = _merged(profiles)
    group_decimal, group_day_first = _decimal(whole), _day_first(whole)
    readings = []
    unsure: Counter[str] = Counter()
    for profile in profiles:
        counts = profile.counts
        decimal = options.decimal if options.decimal != "auto" else _decimal(counts) or group_decimal
        day_first = options.day_first if options.day_first != "auto" else _day_first(counts)
        day_first = group_day_first if day_first is None else day_first
        unsure["number"] += counts["comma_group"] if decimal is None else 0
        unsure["datetime"] += counts["either_first"] if day_first is None else 0
        dot_groups = decimal == "," and not counts["fraction"]
        unit = profile.unit if plan.unit and profile.unit and conversion(profile.unit, plan.unit) else ""
        unsure["unit"] += profile.unit != unit and plan.unit is not None
        readings.append(Reading(profile.name, decimal or ".", dot_groups, True if day_first is None else day_first, unit))
    if unsure["unit"]:
        notes.append(
            f"column {plan.name!r}: the units in the heads of {counted(unsure['unit'], 'files')} do not measure what {plan.unit} does: "
            "they are passed over"
        )
    if plan.kind == "number" and unsure["number"]:
        notes.append(
            f"column {plan.name!r}: nothing tells what the comma means in {counted(unsure['number'], 'cells')} such as 1,234; "
            "it is taken to group digits (set `decimal` to decide)"
        )
    if plan.kind == "datetime" and unsure["datetime"]:
        notes.append(
            f"column {plan.name!r}: nothing tells the day from the month in {counted(unsure['datetime'], 'dates')}; "
            "the day is taken to come first (set `day_first` to decide)"
        )
    return readings


def _decimal(counts: Mapping[str, int]) -> Literal[".", ","] | None:
    comma = counts.get("comma", 0) + counts.get("dots", 0)
    point = counts.get("commas", 0) + counts.get("fraction", 0)
    return None if comma == point else "," if comma > point else "."


def _day_first(counts: Mapping[str, int]) -> bool | None:
    day, month = counts.get("day_first", 0), counts.get("month_first", 0)
    return None if day == month else day > month


def _merged(profiles: Iterable[ColumnProfile]) -> Counter[str]:
    counts: Counter[str] = Counter()
    for profile in profiles:
        if isinstance(profile.dtype, TEXT_TYPES):
            counts.update(profile.counts)
    return counts


def _merged_units(profiles: Iterable[ColumnProfile]) -> Counter[str]:
    units: Counter[str] = Counter()
    for profile in profiles:
        units.update(profile.units)
    return units
