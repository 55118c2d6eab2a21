"""The wide form of readings, of any number of rows in any order: one row a time, one column a sensor and channel.

Workers write the kept rows of each shard by time, in blocks (a run). Then the times are cut into ranges of about equal size, by the last
time of every block of all runs, and each range is read from the runs that have it, turned, and written as one part, or as several where
there are few readings a time.

Where a sensor has several readings at a time, the second ones stand in a second row of that time, and so on. Rows without a time come
last, each in a row of its own. A time with more rows than a range may have is turned a piece at a time, in the order of the source.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pyarrow as pa

from tamis.errors import RecipeError
from tamis.executors import Plain, Task
from tamis.files import whole
from tamis.pipeline.files import ROW_GROUP_ROWS, digest, write_json, write_table
from tamis.pipeline.forms import CHANNEL, KEYS, OWN, SENSOR, TIME, form_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from tamis.pipeline.plan import Plan, Shard

RANGE_BYTES = 12_000_000  # of the rows that are turned at once, twice and a half at most
MOST_COLUMNS = 4_096
CELLS = 1 << 21  # that are made at a time
MOST_CHUNKS = 1 << 14  # columns by row groups of a file: Parquet's writer keeps some thousand bytes of each
LEAST_BLOCK = 16  # rows
SERIES, TURN = f"{OWN}series", f"{OWN}turn"
BEFORE, NO_TIME = -(1 << 63), (1 << 63) - 1

Series = tuple[str | None, str | None]  # sensor and channel


@dataclass(frozen=True, slots=True)
class Run:
    """The kept rows of one shard by time: the first and last time, the last one of each block, and the series that are in it."""

    name: str
    first: int
    last: int
    lasts: NDArray[np.int64]
    series: tuple[Series, ...]


@dataclass(frozen=True, slots=True)
class Range:
    """The times after `low` up to `high`, which become one part; `runs` names runs and the blocks of each that may have them."""

    group: str
    number: int
    low: int
    high: int
    alone: bool
    runs: tuple[tuple[str, int, int], ...]
    series: tuple[Series, ...]
    place: str  # stem of the summary's name


def write_run(plan: Plan, shard: Shard, frame: pl.DataFrame, shards: int) -> None:
    """Write keyed rows of a shard, one of so many of its group, by time."""
    frame = frame.sort(TIME, nulls_last=True, maintain_order=True)
    series = sorted(frame.select(SENSOR, CHANNEL).unique().rows(), key=_by_name)
    _refuse_too_wide(shard.group, len(series), frame.width - len(KEYS))
    rows = max(LEAST_BLOCK, RANGE_BYTES // (2 * shards) // _row_bytes(frame))
    times = _keys(frame)
    known = times[times != NO_TIME]
    told = {
        "first": int(known[0]) if len(known) else NO_TIME,
        "last": int(known[-1]) if len(known) else BEFORE,
        "lasts": [*times[rows - 1 :: rows].tolist(), *([int(times[-1])] if len(times) % rows else [])],
        "series": series,
    }
    table = frame.to_arrow(compat_level=pl.CompatLevel.oldest()).combine_chunks()
    schema = table.schema.with_metadata({"run": json.dumps(told)})
    with (
        whole(_run_path(plan, shard.name)) as temporary,
        pa.OSFile(str(temporary), "wb") as sink,
        pa.ipc.new_file(sink, schema, options=pa.ipc.IpcWriteOptions(compression="lz4")) as writer,
    ):
        writer.write_table(table.cast(schema), max_chunksize=rows)


def tasks(plan: Plan, kept: Mapping[str, int]) -> list[Task]:
    """Return one task for each part that is still to be written, and note how many parts there are in all.

    `kept` says how many rows of a shard stayed, by its name.
    """
    todo: list[Task] = []
    for place, (name, group) in enumerate(plan.groups.items()):
        form, _ = form_of(plan.recipe.output, group)
        if form is not None and form.tables == "wide":
            names = [shard.name for shard in plan.shards if shard.group == name and kept[shard.name]]
            ranges = _ranges(plan, name, _place(place), names)
            write_json(_parts(plan, place), len(ranges))
            todo += [Task(Plain(write_range), one, gpu=False) for one in ranges if not _summary(plan, one.place, one.number).exists()]
    return todo


def read_written(plan: Plan, group: str) -> list[dict[str, Any]]:
    """Return the summary of every part of a group in wide form: `outputs`, `records` and `repeated`."""
    place = list(plan.groups).index(group)
    parts = _parts(plan, place)
    count = json.loads(parts.read_text(encoding="utf-8")) if parts.exists() else 0
    return [json.loads(_summary(plan, _place(place), number).read_text(encoding="utf-8")) for number in range(count)]


def write_range(plan: Plan, order: Range) -> int:
    """Write the part of a range, and return how many records are in it."""
    group = plan.groups[order.group]
    form, _ = form_of(plan.recipe.output, group)
    assert form is not None
    empty = _schema(plan, order)
    titles = form.titles(order.series, empty.columns[len(KEYS) :])
    step = min(ROW_GROUP_ROWS, max(1, CELLS // max(1, len(titles))))
    records = repeated = 0

    def row_groups() -> Iterator[pa.Table]:
        nonlocal records, repeated
        for piece in _pieces(plan, order, empty):
            records += len(piece)
            for rows, again in _turned(piece, order.series, titles, step):
                repeated += again
                yield rows
        if not records and not order.number:
            yield _side_by_side(empty, np.empty((0, 0), np.uint32), titles)

    outputs: list[dict[str, Any]] = []
    waiting = row_groups()
    for first in waiting:
        name = f"part-{order.number:05d}{f'_{len(outputs):03d}' if outputs else ''}.parquet"
        path = Path(plan.out, "clean", "tables", order.group, name)
        part = chain([first], islice(waiting, MOST_CHUNKS // (1 + len(titles))))
        schema = first.schema
        del first  # a row group is not to be held while the others are written
        rows = write_table(path, part, schema, compression=plan.recipe.output.compression, room=plan.room, row_group_rows=step)
        told = {"path": path.relative_to(plan.out).as_posix(), "bytes": path.stat().st_size, "xxh3_128": digest(path), "rows": rows}
        outputs.append(told)
    write_json(_summary(plan, order.place, order.number), {"outputs": outputs, "records": records, "repeated": repeated})
    return records


def _ranges(plan: Plan, group: str, place: str, names: Sequence[str]) -> list[Range]:
    runs = [_read_run(plan, name) for name in names]
    found: set[Series] = set()
    columns = len(pa.ipc.open_file(str(_run_path(plan, names[0]))).schema) - len(KEYS) if names else 1
    for run in runs:
        found.update(run.series)
        _refuse_too_wide(group, len(found), columns)
    series = tuple(sorted(found, key=_by_name))
    ranges: list[Range] = []
    for low, high, alone in _cuts(runs):
        blocks = []
        for run in runs:
            start, stop = np.searchsorted(run.lasts, [low, high], "right").tolist()
            if run.first <= high and start < len(run.lasts):
                blocks.append((run.name, start, min(stop + 1, len(run.lasts))))
        if blocks or not runs:
            ranges.append(Range(group, len(ranges), low, high, alone, tuple(blocks), series, place))
    return ranges


def _cuts(runs: Sequence[Run]) -> Iterator[tuple[int, int, bool]]:
    """Yield where ranges begin and end, and whether one is a single time with more rows than can be turned at once."""
    times, blocks = np.unique(np.concatenate([np.empty(0, np.int64), *(run.lasts for run in runs)]), return_counts=True)
    most, held = 2 * len(runs), 0
    low = min((run.first - 1 for run in runs), default=BEFORE)
    high = max((run.last for run in runs), default=NO_TIME - 1)
    for time, count in zip(times.tolist(), blocks.tolist(), strict=True):
        if time == NO_TIME:
            break
        held += count
        if count > most:
            if low < time - 1:
                yield low, time - 1, False
            yield time - 1, time, True
            low, held = time, 0
        elif held >= most:
            yield low, time, False
            low, held = time, 0
    if low < high:
        yield low, high, False
    if len(times) and times[-1] == NO_TIME:
        yield NO_TIME - 1, NO_TIME, True


def _pieces(plan: Plan, order: Range, empty: pl.DataFrame) -> Iterator[pl.DataFrame]:
    """Yield the rows of a range by time, and then as they stand in the source: all at once, or some of those of a single time."""
    held = [empty]
    most = max(1, RANGE_BYTES // (8 * empty.width))
    for name, start, stop in order.runs:
        with pa.OSFile(str(_run_path(plan, name))) as file:
            reader = pa.ipc.open_file(file)
            for block in range(start, stop):
                frame = pl.DataFrame(pl.from_arrow(reader.get_batch(block)), schema=empty.schema)
                times = _keys(frame)
                first, last = np.searchsorted(times, [order.low, order.high], "right").tolist()
                held.append(frame[first:last])
                while order.alone and sum(map(len, held)) >= most:
                    rows = pl.concat(held)
                    yield rows[:most]
                    held = [rows[most:]]
    yield pl.concat(held).sort(TIME, nulls_last=True, maintain_order=True)


def _turned(piece: pl.DataFrame, series: Sequence[Series], titles: Sequence[str], step: int) -> Iterator[tuple[pa.Table, int]]:
    """Yield rows by time as rows of the wide form, so many at a time, and how many of the rows given repeat a time of their series."""
    known = pl.DataFrame(series, schema={SENSOR: pl.String, CHANNEL: pl.String}, orient="row").with_row_index(SERIES)
    named = piece.join(known, on=[SENSOR, CHANNEL], how="left", nulls_equal=True, maintain_order="left")
    turn = pl.when(pl.col(TIME).is_null()).then(pl.int_range(pl.len())).otherwise(pl.int_range(pl.len()).over(TIME, SERIES))
    named = named.with_columns(turn.alias(TURN)).sort(TIME, TURN, nulls_last=True, maintain_order=True)
    row = named.select(pl.struct(TIME, TURN).rle_id().cast(pl.Int64)).to_series().to_numpy()
    code, again = named[SERIES].to_numpy(), (named[TURN].to_numpy() > 0) & named[TIME].is_not_null().to_numpy()
    for first in range(0, int(row[-1]) + 1 if len(row) else 0, step):
        start, stop = np.searchsorted(row, [first, first + step]).tolist()
        places = np.full((len(series), int(row[stop - 1]) + 1 - first), stop - start, np.uint32)
        places[code[start:stop], row[start:stop] - first] = np.arange(stop - start, dtype=np.uint32)
        yield _side_by_side(named[start:stop].select(piece.columns), places, titles), int(again[start:stop].sum())


def _side_by_side(rows: pl.DataFrame, places: NDArray[np.uint32], titles: Sequence[str]) -> pa.Table:
    """Return rows of the wide form; `places` has a row a series, a column a row: where its reading is among `rows`, or behind the last."""
    series, count = places.shape
    table = pl.concat([rows, rows.clear(1)]).to_arrow(compat_level=pl.CompatLevel.oldest()).combine_chunks()
    time, _, _, *columns = (column.chunk(0) for column in table.columns)
    found = [column.take(pa.array(places.reshape(-1))) for column in columns]
    arrays = [time.take(pa.array(places.min(axis=0, initial=len(rows))))]
    arrays += [column.slice(of * count, count) for of in range(series) for column in found]
    return pa.table(arrays, names=["time", *titles])


def _schema(plan: Plan, order: Range) -> pl.DataFrame:
    """Return the rows of a run, of which there are none."""
    if not order.runs:
        return pl.DataFrame(schema={TIME: pl.Datetime("us"), SENSOR: pl.String, CHANNEL: pl.String})
    with pa.OSFile(str(_run_path(plan, order.runs[0][0]))) as file:
        return pl.DataFrame(pl.from_arrow(pa.ipc.open_file(file).schema.empty_table()))


def _read_run(plan: Plan, name: str) -> Run:
    with pa.OSFile(str(_run_path(plan, name))) as file:
        told = json.loads(pa.ipc.open_file(file).schema.metadata[b"run"])
    series = tuple((sensor, channel) for sensor, channel in told["series"])
    return Run(name, told["first"], told["last"], np.array(told["lasts"], np.int64), series)


def _run_path(plan: Plan, name: str) -> Path:
    return plan.state("runs", f"{name}.arrow")


def _place(group: int) -> str:
    return f"wide-{group:04d}"


def _parts(plan: Plan, group: int) -> Path:
    """Return where it is noted how many parts a group has: a list of files that other machines have made may be stale."""
    return plan.state("applied", f"{_place(group)}.json")


def _summary(plan: Plan, place: str, number: int) -> Path:
    return plan.state("applied", f"{place}-{number:06d}.json")


def _keys(frame: pl.DataFrame) -> NDArray[np.int64]:
    """Return the times as whole numbers, none as the last of all."""
    return frame.select(pl.col(TIME).to_physical().cast(pl.Int64).fill_null(NO_TIME)).to_series().to_numpy()


def _by_name(series: Series) -> tuple[tuple[bool, str], ...]:
    return tuple((name is None, name or "") for name in series)


def _row_bytes(frame: pl.DataFrame) -> int:
    """Return about how many bytes a row has; the same for the same rows, however they are held."""
    size = 8 * frame.width
    for column in frame.iter_columns() if len(frame) else ():
        if column.dtype == pl.String:
            size += int(column.str.len_bytes().sum() or 0) // len(frame)
        elif isinstance(column.dtype, pl.List):
            size += 8 * int(column.list.len().sum() or 0) // len(frame)
    return size


def _refuse_too_wide(group: str, series: int, columns: int) -> None:
    if series * columns > MOST_COLUMNS:
        message = (
            f'output.tables = "wide": the table {group!r} has {series} or more sensors and channels of {columns} columns each, which is '
            f'more than {MOST_COLUMNS} columns side by side; write it long (output.tables = "long"), or name fewer sensors (output.sensor)'
        )
        raise RecipeError(message)
