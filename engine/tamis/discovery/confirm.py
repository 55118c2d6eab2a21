"""The confirm list: a TOML file of suspicions, in which people set `confirmed = true`; and what is done where they did."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import polars as pl

from tamis.discovery.base import moment
from tamis.errors import ArgumentError
from tamis.names import AnyPath, at_home, written
from tamis.series import NANOSECONDS, nanoseconds, sensor_names
from tamis.toml import toml

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from tamis.discovery.base import Suspicion
    from tamis.series import Roles

HEAD = """\
# What tamis suspects. Nothing is changed on suspicion: set `confirmed = true` where you agree, and give this file as
# `discovery.confirmed` in the recipe, or to `tamis.correct`. What `remedy` says is then done; where there is none, there is nothing to do.
"""
_NEEDS: Mapping[str, Mapping[str, type]] = {
    "null": {},
    "convert": {"scale": float, "offset": float},
    "swap": {"with": str},
    "clock": {"shift": int},
    "clock_rate": {"origin": int, "ppm": float},
    "epoch": {"factor": int},
}
OF_TIMES = frozenset({"clock", "clock_rate", "epoch"})


@dataclass(frozen=True, slots=True)
class Confirmed:
    """A suspicion that somebody confirmed: where, and what is to be done.

    Attributes
    ----------
    table
        The table's name.
    clock, by
        Its column of times, and those that name the sensor.
    sensor, column
        The series.
    remedy
        The action and its arguments.
    """

    table: str
    clock: str
    by: tuple[str, ...]
    sensor: str
    column: str
    remedy: Mapping[str, Any]


def write_confirm(path: AnyPath, told: Iterable[tuple[str, Suspicion]], roles: Mapping[str, Roles]) -> None:
    """Write a confirm list of (table, suspicion), in which nothing is confirmed."""
    with written("the confirm list", path) as file:
        file.write_text(confirm_text(told, roles), encoding="utf-8")


def confirm_text(told: Iterable[tuple[str, Suspicion]], roles: Mapping[str, Roles]) -> str:
    """Return the text of a confirm list."""
    lines = [HEAD]
    for table, role in roles.items():
        lines += [
            "[[table]]",
            f"name = {toml(table)}",
            f"time = {toml(role.time)}",
            f"sensor = {toml(role.sensor)}",
            f"values = {toml(role.values)}",
            "",
        ]
    for table, one in told:
        lines += ["[[suspicion]]", "confirmed = false"]
        facts = {"kind": one.kind, "table": table, "sensor": one.sensor, "column": one.column, "score": round(one.score, 3)}
        facts |= {"rows": one.count, "first": moment(one.time), "last": moment(one.last), "says": one.says}
        lines += [f"{key} = {toml(value)}" for key, value in facts.items()]
        if one.remedy:
            lines.append(f"remedy = {toml(one.remedy)}")
        lines.append("")
    return "\n".join(lines)


def read_confirmed(path: AnyPath) -> list[dict[str, Any]]:
    """Read what is confirmed in a confirm list: one row a correction, as a recipe holds it; see `corrections`.

    Raises
    ------
    ArgumentError
        It cannot be read, an entry is of no table in it, or lacks what its remedy needs.
    """
    try:
        tree = tomllib.loads(at_home(path).read_text(encoding="utf-8"))
        tables = {one["name"]: one for one in tree.get("table", [])}
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, KeyError, TypeError) as error:
        why = error.strerror if isinstance(error, OSError) else f"{error}, which each table needs" if isinstance(error, KeyError) else error
        message = f"the confirm list {str(path)!r} cannot be read: {why}; give the file that discovery wrote"
        raise ArgumentError(message) from None
    rows = []
    for number, entry in enumerate(tree.get("suspicion", []), 1):
        confirmed, table = entry.get("confirmed", False), tables.get(entry.get("table"), {})
        if not isinstance(confirmed, bool):
            message = f"{path}: suspicion {number} has confirmed = {confirmed!r}; it must be true or false"
            raise ArgumentError(message)
        if confirmed and entry.get("remedy"):
            where = {"table": entry.get("table"), "clock": table.get("time"), "by": table.get("sensor")}
            rows.append({**where, "sensor": entry.get("sensor"), "column": entry.get("column"), "remedy": entry["remedy"]})
    try:
        corrections(rows)
    except ArgumentError as error:
        message = f"{path}: {error}"
        raise ArgumentError(message) from None
    return rows


def corrections(rows: Iterable[Mapping[str, Any]]) -> tuple[Confirmed, ...]:
    """Return the corrections that rows tell: table, clock, by (a list), sensor, column and remedy.

    Raises
    ------
    ArgumentError
        A row lacks one of these, or its remedy is none.
    """
    found = []
    for number, row in enumerate(rows, 1):
        texts = [row.get(name) for name in ("table", "clock", "sensor", "column")]
        by = row.get("by")
        if not all(isinstance(one, str) for one in texts) or not isinstance(by, list | tuple):
            message = f"correction {number} must have the texts table, clock, sensor and column, and the list by; got {dict(row)!r}"
            raise ArgumentError(message)
        problem = _problem(row.get("remedy"))
        if problem:
            message = f"correction {number} has a remedy that {problem}"
            raise ArgumentError(message)
        found.append(Confirmed(row["table"], row["clock"], tuple(by), row["sensor"], row["column"], row["remedy"]))
    return tuple(found)


def _problem(remedy: Any) -> str:
    """Return what is wrong with a remedy, an empty text where nothing is."""
    if not isinstance(remedy, dict) or remedy.get("action") not in _NEEDS:
        return f"is {remedy!r}; its action must be one of {', '.join(_NEEDS)}"
    for key, kind in _NEEDS[remedy["action"]].items():
        if not isinstance(remedy.get(key), (int, float) if kind is float else kind) or isinstance(remedy.get(key), bool):
            return f"has {key} = {remedy.get(key)!r}; it must be a {'number' if kind is not str else 'name'}"
    spans = remedy.get("spans", [])
    sound = isinstance(spans, list) and all(
        isinstance(one, list) and len(one) == 2 and all(isinstance(at, int) for at in one) for one in spans
    )
    if not sound or (remedy["action"] == "null" and not spans and not isinstance(remedy.get("value"), (int, float))):
        return f"is {remedy!r}; spans must be pairs of nanoseconds, and null needs spans or a value"
    return ""


def corrected(frame: pl.DataFrame, confirmed: Sequence[Confirmed], file: str = "") -> pl.DataFrame:
    """Return rows with what was confirmed put right: codes null, values converted, times moved. Each row is judged by itself.

    Parameters
    ----------
    frame
        Some rows of the table.
    confirmed
        What is done, all of this table, in this order; values before times, for spans are told by the times as they were read.
    file
        The file that the rows come from: where no column names the sensor, it does.
    """
    if not confirmed:
        return frame
    time, by = confirmed[0].clock, confirmed[0].by
    clock = nanoseconds(frame[time]).alias("clock")
    sensor = sensor_names(frame, by) if by else None
    values: dict[str, pl.Series] = {}
    shift = pl.zeros(len(frame), pl.Int64, eager=True)
    for one in sorted(confirmed, key=lambda each: each.remedy["action"] in OF_TIMES):
        chosen = _chosen(clock, sensor, one, file)
        remedy, action = one.remedy, one.remedy["action"]
        if action in OF_TIMES:
            moved = _moves(clock, remedy)
            shift = shift.zip_with(~chosen, shift + moved)
            continue
        column = values.get(one.column, frame[one.column])
        if action == "null":
            gone = chosen & (column == remedy["value"]).fill_null(value=False) if "value" in remedy else chosen
            values[one.column] = column.set(gone, None)
        elif action == "convert":
            values[one.column] = ((column.cast(pl.Float64) - remedy["offset"]) / remedy["scale"]).zip_with(chosen, column.cast(pl.Float64))
        else:
            other = values.get(remedy["with"], frame[remedy["with"]])
            values[one.column] = other.zip_with(chosen, column).alias(one.column)
            values[remedy["with"]] = column.zip_with(chosen, other).alias(remedy["with"])
    out = frame.with_columns([column.alias(name) for name, column in values.items()])
    if (shift != 0).any():
        out = out.with_columns(_moved(frame[time], clock, shift))
    return out


def _chosen(clock: pl.Series, sensor: pl.Series | None, one: Confirmed, file: str) -> pl.Series:
    """Return which rows a confirmed suspicion is about."""
    chosen = clock.is_not_null()
    if sensor is not None and one.sensor:
        chosen &= (sensor == one.sensor).fill_null(value=False)
    elif one.sensor not in ("", file):
        chosen &= False
    spans = one.remedy.get("spans", [])
    if spans:
        inside = pl.repeat(False, len(clock), dtype=pl.Boolean, eager=True)
        for first, last in spans:
            inside |= clock.is_between(first, last).fill_null(value=False)
        chosen &= inside
    return chosen


def _moves(clock: pl.Series, remedy: Mapping[str, Any]) -> pl.Series:
    """Return by how many nanoseconds each time is to be moved."""
    if remedy["action"] == "clock":
        return pl.repeat(remedy["shift"], len(clock), dtype=pl.Int64, eager=True)
    if remedy["action"] == "epoch":
        return clock * (int(remedy["factor"]) - 1)
    rate = 1 / (1 + float(remedy["ppm"]) * 1e-6) - 1
    return ((clock - int(remedy["origin"])) * rate).round().cast(pl.Int64)


def _moved(time: pl.Series, clock: pl.Series, shift: pl.Series) -> pl.Series:
    """Return times moved by nanoseconds, in the type that they have."""
    moved = clock + shift
    if isinstance(time.dtype, pl.Datetime):
        unit = time.dtype.time_unit
        return (moved // NANOSECONDS[unit]).cast(pl.Datetime(unit, time.dtype.time_zone)).alias(time.name)
    if time.dtype == pl.Date:
        return moved.cast(pl.Datetime("ns")).cast(pl.Date).alias(time.name)
    return moved.cast(pl.Datetime("ns")).cast(pl.Datetime("us")).alias(time.name)  # epochs of any unit become times
