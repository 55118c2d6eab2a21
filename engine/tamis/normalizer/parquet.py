"""Fit to a Parquet file and write it normalised, row group by row group: for when nothing else is to be cleaned."""

from __future__ import annotations

from collections import deque
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from tamis.encodings import encoding
from tamis.errors import ArgumentError, ColumnError
from tamis.inquiries import Inquiry, add
from tamis.normalizer import inputs
from tamis.normalizer.methods import Parameters, known_of
from tamis.sizes import byte_count

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from tamis.inquiries import Found
    from tamis.normalizer.estimator import Normalizer

THREADS, DEPTH = 2, 3  # row groups at work, and held at once
PAGE_ROWS = 1 << 18  # the usual 20,000 make writing a third slower, and the usual 1,024 values written at once another tenth


def fit_parquet(normalizer: Normalizer, path: str | Path, columns: Sequence[str] | None = None) -> Normalizer:
    """Fit a normalizer to the columns of a Parquet file, a few row groups in memory at a time.

    The file is read once for methods that learn from moments, two to seven times for quantiles, twice that for mad, and some fifteen
    times for yeo_johnson; what is found is what `fit` finds, bit for bit.

    Parameters
    ----------
    normalizer
        Is fitted and returned.
    path
        A file.
    columns
        Names; None: all columns of numbers.

    Raises
    ------
    ArgumentError
        The file has no rows.
    ColumnError
        The file has no such column, or none of numbers.
    """
    file = _File(path, 0)
    chosen = file.numbers(columns)
    return _fit(normalizer, file, chosen, chosen)


def transform_parquet(normalizer: Normalizer, source: str | Path, target: str | Path, *, compression: str = "zstd") -> None:
    """Write a Parquet file with the columns of a fitted normalizer normalised and all others as they are.

    Rows and row groups keep their order and size, and the file its metadata. It is made under another name and then renamed, so that one
    that is there is whole.

    Raises
    ------
    ArgumentError
        The normalizer is not fitted.
    ColumnError
        The file lacks a column of the fit.
    """
    _transform(normalizer, _File(source, 0), target, compression)


def normalize_parquet(
    normalizer: Normalizer,
    source: str | Path,
    target: str | Path,
    columns: Sequence[str] | None = None,
    *,
    memory: int | str = "256MB",
    compression: str = "zstd",
) -> Normalizer:
    """Fit to a Parquet file and write it normalised: `fit_parquet` and `transform_parquet` in one, reading what fits into memory once.

    Row groups are kept decoded from the first pass over the file, as many as `memory` holds; the others are read again in each pass.

    Parameters
    ----------
    normalizer, columns
        As for `fit_parquet`.
    source, target, compression
        As for `transform_parquet`.
    memory
        Bytes of decoded row groups that are kept, such as "2GB"; three row groups at work come on top of them.

    Returns
    -------
    The normalizer, fitted.
    """
    file = _File(source, byte_count(memory))
    _fit(normalizer, file, file.numbers(columns), None)
    _transform(normalizer, file, target, compression)
    return normalizer


class _File:
    """The row groups of a Parquet file; those that were read with all columns are kept as long as there is room."""

    def __init__(self, path: str | Path, room: int) -> None:
        self.path = path
        self.metadata = pq.read_metadata(path)
        self.schema = self.metadata.schema.to_arrow_schema()
        self._room = room
        self._kept: dict[int, pa.Table] = {}

    def numbers(self, columns: Sequence[str] | None) -> list[str]:
        """Return the names of the columns to fit to."""
        found = [field.name for field in self.schema if pa.types.is_integer(field.type) or pa.types.is_floating(field.type)]
        chosen = found if columns is None else list(columns)
        self.check(chosen)
        if not chosen:
            message = f"{self.path}: no column of numbers to fit to"
            raise ColumnError(message)
        if not self.metadata.num_rows:
            message = f"{self.path}: no row to fit to"
            raise ArgumentError(message)
        return chosen

    def check(self, names: Sequence[str]) -> None:
        """Refuse names that are no columns."""
        missing = [name for name in names if name not in self.schema.names]
        if missing:
            message = f"{self.path}: no column {missing[0]!r}; it has {self.schema.names}"
            raise ColumnError(message)

    def each(self, columns: Sequence[str] | None, work: Callable[[pa.Table], Any], *, last: bool = False) -> Iterator[Any]:
        """Yield what is made of each row group, in order; some are read ahead. `last`: what was kept is let go."""

        def one(group: int) -> Any:
            table = self._kept.pop(group, None) if last else self._kept.get(group)
            if table is None:
                with pq.ParquetFile(self.path, metadata=self.metadata) as file:  # one a thread: readers are not shared
                    table = file.read_row_group(group, columns=columns, use_threads=False)
                if columns is None and not last and table.nbytes <= self._room:
                    self._room -= table.nbytes
                    self._kept[group] = table
            return work(table)

        with ThreadPoolExecutor(THREADS) as pool:
            ahead: deque[Any] = deque()
            for group in range(self.metadata.num_row_groups):
                ahead.append(pool.submit(one, group))
                if len(ahead) == DEPTH:
                    yield ahead.popleft().result()
            while ahead:
                yield ahead.popleft().result()


def _fit(normalizer: Normalizer, file: _File, chosen: list[str], read: list[str] | None) -> Normalizer:
    params = {name: value for name, value in normalizer.get_params().items() if name != "copy"}
    wanted = Parameters(**params).wanted(file.metadata.num_rows)
    inquiries = [Inquiry.start(_float(file.schema.field(name).type), **wanted) for name in chosen]

    def ask(table: pa.Table) -> list[dict[str, Found]]:
        vectors = inputs.vectors(pl.DataFrame(table.select(chosen)))
        return [
            {name: probe.ask(vector.values, validity=vector.validity) for name, probe in inquiry.probes.items()}
            for inquiry, vector in zip(inquiries, vectors, strict=True)
        ]

    while any(inquiry.probes for inquiry in inquiries):
        total: list[dict[str, Found]] = [{} for _ in chosen]
        for answers in file.each(read, ask):
            for mine, more in zip(total, answers, strict=True):
                add(mine, more)
        for inquiry, found in zip(inquiries, total, strict=True):
            inquiry.answer(found)
    known = {name: known_of(inquiry.answers) for name, inquiry in zip(chosen, inquiries, strict=True)}
    fitted = type(normalizer).from_statistics(known, **params)
    normalizer.__dict__.update(vars(fitted) | {"copy": normalizer.copy})
    return normalizer


def _transform(normalizer: Normalizer, file: _File, target: str | Path, compression: str) -> None:
    names = normalizer.get_feature_names_out().tolist()
    file.check(names)
    unfinished = Path(target).with_name(f".{Path(target).name}.part")

    def move(table: pa.Table) -> pa.Table:
        moved = normalizer.transform(pl.DataFrame(table.select(names))).to_arrow(compat_level=pl.CompatLevel.oldest())
        for name in names:
            place = table.schema.get_field_index(name)
            table = table.set_column(place, table.schema.field(place).with_type(moved[name].type), moved[name])
        return table

    moved = file.each(None, move, last=True)
    first = next(moved, None)
    if first is None:
        first = move(file.schema.empty_table())
    options = {**encoding(first, compression), "max_rows_per_page": PAGE_ROWS, "write_batch_size": PAGE_ROWS}
    schema, moved = first.schema, chain([first], moved)
    del first
    try:
        with pq.ParquetWriter(unfinished, schema, **options) as writer:
            for table in moved:
                writer.write_table(table, row_group_size=max(1, len(table)))
        unfinished.replace(target)
    finally:
        unfinished.unlink(missing_ok=True)


def _float(kind: pa.DataType) -> type[np.floating[Any]]:
    return np.float32 if kind == pa.float32() else np.float64
