"""Fit to a Parquet file and write it normalised, row group by row group: for when nothing else is to be cleaned."""

from __future__ import annotations

from collections import deque
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from tamis.errors import ColumnError
from tamis.normalizer.methods import Parameters
from tamis_kernels.errors import ArgumentError
from tamis_kernels.moments import Moments

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from tamis.normalizer.estimator import Normalizer
    from tamis.normalizer.methods import Known

THREADS, DEPTH = 2, 3  # row groups at work, and held at once


def fit_parquet(normalizer: Normalizer, path: str | Path, columns: Sequence[str] | None = None) -> Normalizer:
    """Fit a normalizer to the columns of a Parquet file, reading each row group once; for methods that learn batch by batch.

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
        The method needs all values at once, or the file has no rows.
    ColumnError
        The file has no such column, or none of numbers.
    """
    schema = pq.read_schema(path)
    numbers = [field.name for field in schema if pa.types.is_integer(field.type) or pa.types.is_floating(field.type)]
    chosen = numbers if columns is None else list(columns)
    missing = [name for name in chosen if name not in schema.names]
    if missing or not chosen:
        message = f"{path}: no column {missing[0]!r}; it has {schema.names}" if missing else f"{path}: no column of numbers to fit to"
        raise ColumnError(message)
    params = {name: value for name, value in normalizer.get_params().items() if name != "copy"}
    if not Parameters(**params).merges:
        message = f"{normalizer.method} needs all values at once: read the file and call fit"
        raise ArgumentError(message)
    total: list[Known] = [Moments()] * len(chosen)
    for known in _row_groups(path, chosen, lambda frame: type(normalizer)(**params).fit(frame).known_ if len(frame) else None):
        if known is not None:
            total = [a + b for a, b in zip(total, known, strict=True)]
    fitted = type(normalizer).from_statistics(dict(zip(chosen, total, strict=True)), **params)
    normalizer.__dict__.update(vars(fitted) | {"copy": normalizer.copy})
    return normalizer


def transform_parquet(normalizer: Normalizer, source: str | Path, target: str | Path, *, compression: str = "zstd") -> None:
    """Write a Parquet file with the columns of a fitted normalizer normalised and all others as they are.

    Rows and row groups keep their order. The file is made under another name and then renamed, so that one that is there is whole.

    Raises
    ------
    ArgumentError
        The normalizer is not fitted, or was fitted to columns without names.
    """
    names = normalizer.get_feature_names_out().tolist()
    unfinished = Path(target).with_name(f".{Path(target).name}.part")

    def move(frame: pl.DataFrame) -> pa.Table:
        moved = frame.with_columns(normalizer.transform(frame.select(names)))
        return moved.to_arrow(compat_level=pl.CompatLevel.oldest())

    writer: Any = None
    try:
        for table in _row_groups(source, None, move):
            if writer is None:
                repeating = [field.name for field in table.schema if not pa.types.is_floating(field.type)]  # numbers seldom repeat
                writer = pq.ParquetWriter(unfinished, table.schema, compression=compression, use_dictionary=repeating)
            writer.write_table(table, row_group_size=max(1, len(table)))
        if writer is None:
            message = f"{source}: no row group to transform"
            raise ArgumentError(message)
        writer.close()
        unfinished.replace(target)
    finally:
        if writer is not None:
            writer.close()
        unfinished.unlink(missing_ok=True)


def _row_groups(path: str | Path, columns: Sequence[str] | None, work: Callable[[pl.DataFrame], Any]) -> Iterator[Any]:
    """Yield what is made of each row group, in order; some are read ahead."""
    metadata = pq.read_metadata(path)

    def one(group: int) -> Any:
        with pq.ParquetFile(path, metadata=metadata) as file:  # one a thread: readers are not shared
            return work(pl.DataFrame(file.read_row_group(group, columns=columns, use_threads=False)))

    with ThreadPoolExecutor(THREADS) as pool:
        ahead: deque[Any] = deque()
        for group in range(metadata.num_row_groups):
            ahead.append(pool.submit(one, group))
            if len(ahead) == DEPTH:
                yield ahead.popleft().result()
        while ahead:
            yield ahead.popleft().result()
