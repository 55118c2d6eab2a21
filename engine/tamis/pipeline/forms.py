"""Forms in which kept readings are written: long (a row a reading) or wide (a row a time, a column a sensor and channel).

What each column is, is told by the schema alone, so that every worker comes to the same answer. Columns `NAME__WORD` beside a reading
`NAME` are marks of it (`__imputed`, flags) and go where it goes.
"""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import polars as pl

from tamis.errors import ColumnError
from tamis.series.roles import is_time, names_channel, names_sensor, time_column
from tamis.sources.rows import free_names

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from tamis.recipe import OutputOptions
    from tamis.sources.schema import ColumnPlan, TableGroup

OWN = "\x1f"  # begins the names of columns that are ours; Arrow does not allow \0
KEYS = TIME, SENSOR, CHANNEL = (f"{OWN}time", f"{OWN}sensor", f"{OWN}channel")
CELLS = 1 << 20  # cells that are made at a time
UNNAMED = "unnamed"


@dataclass(frozen=True, slots=True)
class Form:
    """How the readings of one table group are written.

    Attributes
    ----------
    tables
        `long` or `wide`.
    time
        The column of times.
    sensor
        Columns that name the sensor.
    channel
        Column that names the channel; empty where the readings are the channels.
    readings
        Columns of numbers.
    by_file
        Whether the file is part of the sensor's name.
    folder
        What the record ids of all files begin with.
    """

    tables: Literal["long", "wide"]
    time: str
    sensor: tuple[str, ...]
    channel: str
    readings: tuple[str, ...]
    by_file: bool
    folder: str

    def state(self) -> dict[str, Any]:
        """Return it JSON-safe, for the manifest."""
        told = {"tables": self.tables, "time": self.time, "channel": self.channel, "by_file": self.by_file}
        return {**told, "sensor": list(self.sensor), "readings": list(self.readings)}

    def keyed(self, read: pl.DataFrame, clean: pl.DataFrame, source: str) -> pl.DataFrame:
        """Return clean rows with time, sensor and channel under `KEYS`, as they were read, in place of their columns."""
        file = [pl.lit(self._file(source))] if self.by_file else []
        sensor = _joined([*file, *(pl.col(name).cast(pl.String) for name in self.sensor)])
        channel = [self.channel] if self.channel else []
        told = pl.col(*channel).cast(pl.String) if channel else pl.lit(None, pl.String)
        keys = read.select(pl.col(self.time).alias(TIME), sensor.alias(SENSOR), told.alias(CHANNEL))
        return keys.hstack(clean.drop(self.time, *self.sensor, *channel))

    def long(self, frame: pl.DataFrame) -> Iterator[pl.DataFrame]:
        """Yield keyed rows as readings, by row and then by channel, some at a time; an empty frame where there are none."""
        names = list(self.readings)
        beside = [name for name in frame.columns if name not in {*KEYS, *names} and mark_of(name, names) is None]
        values = {"value": [pl.col(name) for name in names]}
        for word, columns in self._marks(frame.columns).items():
            values[f"value__{word}"] = [pl.col(columns[name]) if name in columns else pl.lit(None) for name in names]
        spare = free_names(beside, ["time", "sensor", "channel", *values])
        chosen = [
            pl.col(TIME).alias("time"),
            pl.col(SENSOR).alias("sensor"),
            pl.lit(pl.Series([names])).first().alias("channel"),
            *(pl.concat_list(columns).alias(name) for name, columns in values.items()),
            *(pl.col(name).alias(new) for name, new in zip(beside, spare, strict=True)),
        ]
        step = max(1, CELLS // len(names))
        for start in range(0, max(1, len(frame)), step):
            readings = frame[start : start + step].select(*chosen, CHANNEL).explode("channel", *values)
            if self.channel:
                told = [CHANNEL] if len(names) == 1 else [CHANNEL, "channel"]
                readings = readings.with_columns(pl.concat_str(told, separator="/").alias("channel"))
            yield readings.drop(CHANNEL)

    def titles(self, series: Sequence[tuple[str | None, str | None]], columns: Sequence[str]) -> list[str]:
        """Return the names of the columns of the wide form: of each series, named by sensor and channel, all columns."""
        return free_names([self._title(sensor, channel, column) for sensor, channel in series for column in columns], ["time"])

    def _title(self, sensor: str | None, channel: str | None, column: str) -> str:
        named = [*([sensor or UNNAMED] if self.sensor or self.by_file else []), *([channel or UNNAMED] if self.channel else [])]
        if self.channel and len(self.readings) == 1 and (column in self.readings or mark_of(column, self.readings)):
            return "/".join(named) + column.removeprefix(self.readings[0])
        return "/".join([*named, column])

    def _marks(self, columns: Sequence[str]) -> dict[str, dict[str, str]]:
        """Return by word of the mark, and by reading, which column holds it."""
        marks: dict[str, dict[str, str]] = {}
        for name in columns:
            of = mark_of(name, self.readings)
            if of is not None:
                marks.setdefault(name.removeprefix(f"{of}__"), {})[of] = name
        return marks

    def _file(self, source: str) -> str:
        """Return a file's name without what all have in common, and without its extensions."""
        folder, slash, name = source.removeprefix(self.folder).rpartition("/")
        return f"{folder}{slash}{re.sub(_EXTENSIONS, '', name) or name}"


_EXTENSIONS = r"\.(?:parquet|pq|arrow|feather|ipc|arrows|csv|tsv|dat|ndjson|jsonl|json)(?:\.(?:gz|zst|bz2))?$"


def form_of(options: OutputOptions, group: TableGroup) -> tuple[Form | None, str]:
    """Return the form in which a group is written, and a sentence on it; None where it is written as it is.

    Raises
    ------
    ColumnError
        A column that the recipe names has a type that does not fit.
    """
    if options.tables == "same":
        return None, ""
    columns = {column.name: column for column in group.columns}
    schema = {column.name: column.dtype for column in group.columns}
    as_it_is = f"written as it is and not in {options.tables} form: "
    time = _time(options.time, schema)
    if time is None:
        return None, as_it_is + (f"it has no column {options.time!r}" if options.time else "it has no column of times")
    if any(name.startswith(OWN) for name in columns):
        return None, as_it_is + "the name of a column begins with a control character"
    channel = options.channel if options.channel in columns else ""
    if not options.channel:
        called = [name for name, dtype in schema.items() if names_channel(name, dtype)]
        channel = called[0] if len(called) == 1 else ""
    sensor = tuple(name for name in options.sensor if name in columns)
    if not options.sensor:
        sensor = tuple(name for name, dtype in schema.items() if name not in {time, channel} and names_sensor(name, dtype))
    readings = _readings(options.readings, columns, {time, channel, *sensor})
    if not readings:
        return None, as_it_is + "it has no column of readings"
    by_file = options.by_file == "yes" or (options.by_file == "auto" and not sensor and len(group.files) > 1)
    form = Form(options.tables, time, sensor, channel, readings, by_file, _common(group.files))
    by = " and ".join([*(["the file"] if by_file else []), *map(repr, sensor)]) or "nothing, for there is one"
    channels = f"named by {channel!r}, of" if channel else "the columns"
    return form, f"{options.tables} form: times in {time!r}; sensors named by {by}; channels {channels} {', '.join(map(repr, readings))}"


def mark_of(name: str, readings: Sequence[str]) -> str | None:
    """Return the reading that a column is a mark of; None where it is of none."""
    return max((one for one in readings if name.startswith(f"{one}__")), key=len, default=None)


def _time(named: str, schema: Mapping[str, pl.DataType]) -> str | None:
    if named and named in schema and not is_time(schema[named]):
        message = (
            f"output.time names the column {named!r}, which holds {schema[named]} and no times; name one of times, "
            'or write tables as they are: output.tables = "same"'
        )
        raise ColumnError(message)
    if named:
        return named if named in schema else None
    found = time_column(schema)
    return found if found and is_time(schema[found]) else None


def _readings(named: Sequence[str], columns: Mapping[str, ColumnPlan], keys: set[str]) -> tuple[str, ...]:
    for name in named:
        if name in columns and columns[name].kind != "number":
            message = f"output.readings names the column {name!r}, which holds {columns[name].dtype}; name columns of numbers"
            raise ColumnError(message)
    numbers = [name for name, column in columns.items() if column.kind == "number" and name not in keys]
    return tuple(name for name in numbers if (name in named if named else mark_of(name, numbers) is None))


def _joined(parts: Sequence[pl.Expr]) -> pl.Expr:
    """Return texts joined by a stroke; null where all are."""
    if len(parts) < 2:
        return parts[0] if parts else pl.lit(None, pl.String)
    joined = pl.concat_str([part.fill_null(UNNAMED) for part in parts], separator="/")
    return pl.when(~pl.all_horizontal([part.is_null() for part in parts])).then(joined)


def _common(records: Sequence[str]) -> str:
    """Return the folder that all records lie in, with the last stroke; nothing where there is none."""
    folder = posixpath.commonpath([posixpath.dirname(record) for record in records])
    return folder and f"{folder}/"
