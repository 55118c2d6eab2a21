"""Which column of a table is the time, which ones name the sensor, and which hold readings."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from tamis.errors import ColumnError, nearest
from tamis.sources.parsing import epochs
from tamis.sources.profile import TEXT_TYPES, TIME_NAME

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

_END = r"s?(?:[\W_]*(?:id|name|no|nr|number|code))?$"
SENSOR_NAME = re.compile(
    r"(?:^|[\W_])(?:sensor|station|device|probe|node|logger|gauge|buoy|turbine|inverter|machine|meter|vehicle|site|location|series|tag)"
    rf"{_END}|^(?:id|name)$",
    re.IGNORECASE,
)
CHANNEL_NAME = re.compile(rf"^(?:channel|parameter|variable|quantity|measurand|analyte|pollutant){_END}", re.IGNORECASE)
NO_SENSOR = re.compile(r"qual|flag|status|comment|remark|note|unit|label|class|description", re.IGNORECASE)
Tally = tuple[int, dict[str, set[str | int | None]]]
"""Rows, and the values of columns."""
NANOSECONDS = {"ns": 1, "us": 1_000, "ms": 1_000_000}
MOST_SENSORS = 1 << 16  # distinct values of a column that may yet name sensors where nobody said so
MEAN_READINGS = 8  # rows for each of these values, at least


@dataclass(frozen=True, slots=True)
class Roles:
    """The columns of a table of readings.

    Attributes
    ----------
    time
        Of times.
    sensor
        Those that name the sensor, or none.
    values
        Of readings, one or more.
    by_file
        Whether each file is a sensor of its own.
    """

    time: str
    sensor: tuple[str, ...]
    values: tuple[str, ...]
    by_file: bool = False

    @property
    def columns(self) -> tuple[str, ...]:
        """All of them."""
        return (self.time, *self.sensor, *self.values)

    def __str__(self) -> str:
        """Return them in words."""
        sensor = ", ".join(self.sensor) or ("the name of the file" if self.by_file else "one")
        return f"time {self.time}; sensor {sensor}; readings {', '.join(self.values)}"


def assign_roles(
    schema: Mapping[str, pl.DataType],
    tallies: Callable[[Collection[str]], Iterable[Tally]],
    *,
    time: str | None = None,
    sensor: str | Sequence[str] | None = None,
    values: str | Sequence[str] | None = None,
) -> Roles | None:
    """Give the columns of a table their roles; what is not named is told by types, names and, for the sensor, numbers of values.

    * time: the only column of dates and times, or the first whose name says so; else a number column with such a name.
    * sensor: of the columns of text, and of whole numbers whose name says so, those with at most 65,536 values and at least 8 rows for
      each; all whose name says so, or that they name the channel, or else the only one there is, unless its name speaks of quality or
      remarks. Where there is none, each file is a sensor of its own.
    * values: all other columns of floats; where there are none, those of whole numbers.

    The answer is the same for any order of the rows.

    Parameters
    ----------
    schema
        Columns and types.
    tallies
        Gives what `tally` says of some columns of all rows, in any parts; called only where a sensor column is to be found.
    time, sensor, values
        Columns that the caller names; an empty `sensor` for a table of one sensor.

    Returns
    -------
    Roles, or None where no column is a time or none holds values

    Raises
    ------
    ColumnError
        A named column is not there, or its type does not fit.
    """
    by_file = False
    named, values = _listed(sensor), _listed(values)
    for name in (*([time] if time else []), *(named or ()), *(values or ())):
        if name not in schema:
            message = f"there is no column {name!r}.{nearest(name, schema)} The columns are: {', '.join(schema)}"
            raise ColumnError(message)
    clock = time or time_column(schema, {*(named or ()), *(values or ())})
    if clock is None:
        return None
    _check_types(schema, clock, values or ())
    taken = {clock, *(values or ())}
    if named is None:
        named = _sensor({name: dtype for name, dtype in schema.items() if name not in taken}, tallies)
        by_file = not named
    chosen = values if values is not None else _values({k: v for k, v in schema.items() if k not in {clock, *named}})
    return Roles(clock, named, chosen, by_file) if chosen else None


def sensor_names(frame: pl.DataFrame, columns: Sequence[str]) -> pl.Series:
    """Return the name of each row's sensor, by the columns that make it up, one or more; null where one of them is."""
    return frame.select(pl.concat_str(columns, separator=" / ").alias("sensor")).to_series()


def time_column(schema: Mapping[str, pl.DataType], taken: Collection[str] = ()) -> str | None:
    """Return the column of times, by types and names: of dates and times, else of numbers that are called so; None where there is none."""
    free = {name: dtype for name, dtype in schema.items() if name not in taken}
    times = [name for name, dtype in free.items() if is_time(dtype)]
    called = [name for name in times if TIME_NAME.search(name)]
    numbers = [name for name, dtype in free.items() if is_number(dtype) and TIME_NAME.search(name)]
    return next(iter(called or times or numbers), None)


def names_sensor(name: str, dtype: pl.DataType) -> bool:
    """Whether a column says by its name that it names the sensor: of texts or of whole numbers."""
    return (isinstance(dtype, TEXT_TYPES) or dtype.is_integer()) and SENSOR_NAME.search(name) is not None


def names_channel(name: str, dtype: pl.DataType) -> bool:
    """Whether a column of texts says by its name that it names what is measured."""
    return isinstance(dtype, TEXT_TYPES) and CHANNEL_NAME.search(name) is not None


def is_time(dtype: pl.DataType) -> bool:
    """Whether a type holds dates or times."""
    return isinstance(dtype, pl.Datetime) or dtype == pl.Date


def is_number(dtype: pl.DataType) -> bool:
    """Whether a type holds plain numbers."""
    return dtype.is_float() or dtype.is_integer()


def nanoseconds(column: pl.Series) -> pl.Series:
    """Return times as Int64 nanoseconds since 1970, in UTC where they have a zone; null outside of 1823 to 2116, and for no time."""
    if isinstance(column.dtype, pl.Datetime):
        factor = NANOSECONDS[column.dtype.time_unit]
        whole = column.to_physical()
    elif column.dtype == pl.Date:
        factor, whole = 86_400_000_000_000, column.to_physical().cast(pl.Int64)
    else:
        factor, whole = 1_000, epochs(column).to_physical()
    most = (1 << 62) // factor
    return whole.set(~whole.is_between(-most + 1, most - 1), None) * factor


def _listed(named: str | Iterable[str] | None) -> tuple[str, ...] | None:
    """Return columns that are named, each once; an empty text names none."""
    return None if named is None else tuple(dict.fromkeys(name for name in ([named] if isinstance(named, str) else named) if name))


def _check_types(schema: Mapping[str, pl.DataType], time: str, values: Sequence[str]) -> None:
    dtype = schema[time]
    if not (is_time(dtype) or is_number(dtype)):
        message = f"column {time!r} is {dtype}, which is no time: convert it to a Datetime, or name another column"
        raise ColumnError(message)
    for name in values:
        if not is_number(schema[name]):
            message = f"column {name!r} is {schema[name]}, which holds no readings: name columns of numbers"
            raise ColumnError(message)


def tally(frames: Iterable[pl.DataFrame], columns: Collection[str]) -> Tally:
    """Return the number of rows and the distinct values of each column.

    A column with more than 65,536 of them is left out; once all are, no more rows are counted.
    """
    seen: dict[str, set[str | int | None]] = {name: set() for name in columns}
    rows = 0
    for frame in frames:
        rows += len(frame)
        for name in list(seen):
            seen[name].update(frame[name].unique().to_list())
            if len(seen[name]) > MOST_SENSORS:
                del seen[name]
        if not seen:
            break
    return rows, seen


def _sensor(free: Mapping[str, pl.DataType], tallies: Callable[[Collection[str]], Iterable[Tally]]) -> tuple[str, ...]:
    """Return the columns that name the sensor, by how many values they have."""
    named = {name for name, dtype in free.items() if names_sensor(name, dtype) or names_channel(name, dtype)}
    seen: dict[str, set[str | int | None]] = {name: set() for name, dtype in free.items() if isinstance(dtype, TEXT_TYPES) or name in named}
    rows = 0
    for count, values in tallies(tuple(seen)) if seen else ():
        rows += count
        seen = {name: known | values[name] for name, known in seen.items() if name in values}
        seen = {name: known for name, known in seen.items() if len(known) <= MOST_SENSORS}
    few = [name for name in free if name in seen and len(seen[name]) * MEAN_READINGS <= rows]
    called = [name for name in few if name in named]
    others = [name for name in few if not NO_SENSOR.search(name)]
    return tuple(called) if called else tuple(others) if len(others) == 1 else ()


def _values(free: Mapping[str, pl.DataType]) -> tuple[str, ...]:
    floats = tuple(name for name, dtype in free.items() if dtype.is_float())
    return floats or tuple(name for name, dtype in free.items() if dtype.is_integer())
