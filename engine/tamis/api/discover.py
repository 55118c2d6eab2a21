"""`tamis.discover`: sensor faults that nobody declared, in a frame or in files; `tamis.correct`: what is done where people confirm them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from typing import Any

import numpy as np
import polars as pl

from tamis.api.tables import Keys, Readings, tables_of, with_roles
from tamis.arguments import checked
from tamis.discovery import Suspicion, corrected, corrections, read_confirmed, search, sensors, write_confirm
from tamis.discovery.clocks import known_zone
from tamis.errors import ColumnError, nearest
from tamis.frames import Frame, frame_of
from tamis.names import AnyPath, counted
from tamis.series import Roles, SeriesWriter

TIME = pl.Datetime("ns", "UTC")
FINDINGS = {
    "kind": pl.String(),
    "sensor": pl.String(),
    "column": pl.String(),
    "first": TIME,
    "last": TIME,
    "rows": pl.Int64(),
    "score": pl.Float64(),
    "figure": pl.Float64(),
    "limit": pl.Float64(),
    "says": pl.String(),
    "remedy": pl.String(),
}


@dataclass(frozen=True, eq=False)
class Discovery:
    """What discovery suspects. `str()` gives it as text.

    Attributes
    ----------
    findings
        One row a suspicion: where it begins (`table` and `file` for files, `row`), its kind, sensor, column, first and last time, how
        many rows it is about, its score (1 - limit / (2 figure): 0.5 at the limit, 0.75 at twice the limit), figure and limit, what
        speaks for it, and what is done if it is confirmed.
    roles
        Which columns were taken for time, sensor and values, by table.
    notes
        What was passed over.
    told
        The suspicions themselves, each with its table.
    """

    findings: pl.DataFrame
    roles: dict[str, Roles]
    notes: tuple[str, ...]
    told: tuple[tuple[str, Suspicion], ...]

    @checked
    def write_confirm(self, path: AnyPath) -> None:
        """Write the confirm list: TOML, in which `confirmed = true` is set by hand; see `correct`."""
        write_confirm(path, self.told, self.roles)

    def __repr__(self) -> str:
        """Return the totals."""
        kinds = Counter(one.kind for _, one in self.told)
        return (
            f"Discovery({', '.join([counted(len(self.told), 'suspicions'), *(f'{count} {kind}' for kind, count in kinds.most_common())])})"
        )

    def __str__(self) -> str:
        """Return the suspicions as text, the surest of each series first."""
        lines = [counted(len(self.told), "suspicions")]
        for (table, sensor, column), same in groupby(self.told, key=lambda each: (each[0], each[1].sensor, each[1].column)):
            lines.append(" / ".join(word for word in (table if len(self.roles) > 1 else "", sensor, column or "times") if word))
            lines += [f"  {one.score:.2f}  {one.kind}: {one.says}" for _, one in same]
        return "\n".join([*lines, *(f"note: {note}" for note in self.notes)])


@checked
def discover(
    data: Readings,
    *,
    time: str | None = None,
    sensor: str | Sequence[str] | None = None,
    values: str | Sequence[str] | None = None,
    zone: str = "",
    settings: Mapping[str, Any] | None = None,
) -> Discovery:
    """Look for sensor faults that nobody declared. Nothing is changed.

    Parameters
    ----------
    data
        A polars frame, eager or lazy, a table of pandas or pyarrow, or anything that exports Arrow; or a path, pattern or list of
        paths of Parquet, Arrow, CSV or JSON files. They may be larger than the memory, which must hold the readings of one sensor.
    time, sensor, values
        The column of times, those that name the sensor, and those of readings. What is not named is told by types and names. An empty
        `sensor`: all rows are of one.
    zone
        The zone whose summer time wall clocks may follow; none to try those in wide use.
    settings
        For files: overrides of the recipe's `formats`, by dotted key; `{"formats.missing_codes": []}` leaves codes to be discovered.

    Returns
    -------
    Discovery

    Raises
    ------
    ColumnError
        A column is missing, or there is no column of times or of readings.
    SourceError
        The files cannot be read, or hold no table.
    ArgumentError
        There is no such zone.
    """
    known_zone(zone)
    told: list[tuple[str, Suspicion]] = []
    places: list[pl.DataFrame] = []
    roles: dict[str, Roles] = {}
    notes: list[str] = []
    with tables_of(data, settings) as (tables, folder):
        for name, table, role in with_roles(tables, {"time": time, "sensor": sensor, "values": values}, notes):
            roles[name] = role
            keys = Keys(table)
            with SeriesWriter(role, folder) as writer:
                for frame, rows, source in keys.frames():
                    writer.add(frame.select(role.columns), rows, source)
                if writer.timeless:
                    notes.append(f"{counted(writer.timeless, 'rows', 'have')} no time: the readings there were not looked at")
                notes += [f"{record}: {problem}" for record, problem in table.problems.items()]
                found = search(partial(sensors, writer.series()), zone)
            told += [(name, one) for one in found]
            places.append(keys.frame(np.array([one.row for one in found], np.int64)))
    facts = pl.DataFrame([_facts(one) for _, one in told], schema=FINDINGS, orient="row")
    return Discovery(pl.concat([pl.concat(places), facts], how="horizontal"), roles, tuple(notes), tuple(told))


def _facts(one: Suspicion) -> tuple[Any, ...]:
    remedy = "; ".join(f"{key} = {value}" for key, value in one.remedy.items() if key != "spans")
    where = (one.kind, one.sensor, one.column, one.time, one.last, one.count)
    return (*where, one.score, one.figure, one.limit, one.says, remedy)


@checked
def correct(frame: Frame, confirmed: AnyPath, *, table: str = "table", file: str = "") -> pl.DataFrame:
    """Put right what is confirmed in a confirm list: codes become null, values are converted, times are moved.

    Parameters
    ----------
    frame
        The table that `discover` looked at, or some of its rows; of polars, pandas or pyarrow.
    confirmed
        The confirm list, in which `confirmed = true` was set.
    table
        The table's name in the list; `table` for frames.
    file
        The file that the rows come from, where no column names the sensor and each file is one.

    Raises
    ------
    ArgumentError
        The list cannot be read, or the frame is none.
    ColumnError
        The frame lacks a column that the list names.
    """
    frame = frame_of(frame).lazy().collect()
    wanted = [one for one in corrections(read_confirmed(confirmed)) if one.table == table]
    for name in (name for one in wanted for name in (one.clock, *one.by, one.column, one.remedy.get("with", "")) if name):
        if name not in frame.columns:
            message = f"there is no column {name!r}, which {confirmed} names.{nearest(name, frame.columns)}"
            raise ColumnError(message)
    return corrected(frame, wanted, file)
