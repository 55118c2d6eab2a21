"""A digest of each row of a table: equal for equal rows, and different for different ones but for a chance of 2⁻¹²⁸ a pair.

A row is written as words of 64 bits, and these are hashed: first words of which each bit tells whether a value is null, then each value, a
number as one word, anything longer as the two of its own digest. So the rows of a table are a matrix, and no text is made of numbers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from tamis.near.texts import text_buffers
from tamis_kernels import xxh3

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from tamis_kernels.backend import AnyBackend

WORD_BITS = 64
STEP = 4096  # rows
FEW_WORDS = 4  # of a row: fewer are written where they belong


def row_digests(columns: Sequence[pl.Series], backend: AnyBackend = "auto") -> NDArray[np.uint64]:
    """Return the XXH3 of 128 bits of each row.

    Numbers are equal where their values are: integers of any width, floats of either, 0.0 and -0.0, NaN of any bits; timestamps of
    one unit; texts, lists and structs where all that they hold is equal. A null equals a null and nothing else.

    Parameters
    ----------
    columns
        Series of one length; their order counts, their names do not.
    backend
        Where to run.

    Returns
    -------
    uint64[rows, 2]
        The upper and the lower 64 bits.
    """
    return _hashed(_records(columns, backend), backend)


@np.errstate(invalid="ignore")  # of signalling NaN
def _records(columns: Sequence[pl.Series], backend: AnyBackend) -> NDArray[np.uint64]:
    """Return each row as words.

    Each step writes some rows of all columns, word by word, and transposes them while they are in the processor's cache.
    """
    nulls = [column.is_null().to_numpy() if column.null_count() else None for column in columns]
    parts = [(place, part) for place, column in enumerate(columns) for part in _words(column, backend)]
    masks = -(-len(columns) // WORD_BITS)
    records = np.empty((len(columns[0]), masks + len(parts)), np.uint64)
    room = np.empty((records.shape[1], min(STEP, len(records))), np.uint64)
    for first in range(0, len(records), STEP):
        rows = slice(first, first + STEP)
        words = records[rows].T if len(room) < FEW_WORDS else room[:, : len(records) - first]
        words[:masks] = 0
        for (place, part), word in zip(parts, words[masks:], strict=True):
            _write(part[rows], word)
            null = nulls[place]
            if null is not None:
                gone = null[rows].astype(np.uint64)
                word *= 1 - gone
                words[place // WORD_BITS] |= gone << np.uint64(place % WORD_BITS)
        if len(room) >= FEW_WORDS:
            records[rows] = words.T
    return records


def _write(values: NDArray[Any], words: NDArray[np.uint64]) -> None:
    """Write numbers as words: integers of any width by their values, floats as doubles of which equal ones have the same bits."""
    if values.dtype.kind != "f":
        words.view(np.int64)[:] = values.view(np.int64) if values.dtype == np.uint64 else values
        return
    doubles = words.view(np.float64)
    np.add(values, 0.0, out=doubles, dtype=np.float64)  # which turns -0.0 into 0.0
    odd = np.isnan(doubles)
    if odd.any():
        doubles[odd] = np.nan


def _words(column: pl.Series, backend: AnyBackend) -> Sequence[NDArray[Any]]:
    """Return the first words of all values, and the second ones where there are; what stands for a null does not matter.

    Numbers of other widths are as they are: `_write` makes words of them.
    """
    if isinstance(column.dtype, pl.BaseExtension):
        column = column.ext.storage()
    if isinstance(column.dtype, pl.Map):  # which is a list of its pairs
        column = column.cast(pl.List(pl.Struct({"key": column.dtype.key, "value": column.dtype.value})))
    dtype = column.dtype
    if dtype.is_float() or (dtype.is_integer() and dtype not in (pl.Int128, pl.UInt128)):
        return [_filled(column)]
    if dtype in (pl.Boolean, pl.Null) or dtype.is_temporal():
        return [_filled(column.cast(pl.Int64))]
    if isinstance(dtype, (pl.List, pl.Array)):
        return list(_list_digests(column, backend).T)
    if isinstance(dtype, pl.Struct):
        return list(row_digests(column.struct.unnest().get_columns(), backend).T)
    texts = column if dtype in (pl.String, pl.Binary) else column.cast(pl.String)
    data, offsets, _ = text_buffers(texts)
    return list(xxh3.hash128(data, offsets, backend=backend).T)


def _filled(column: pl.Series) -> NDArray[Any]:
    return (column.fill_null(0) if column.null_count() else column).to_numpy()  # to fill none takes 50 µs


def _list_digests(column: pl.Series, backend: AnyBackend) -> NDArray[np.uint64]:
    """Return the digest of each list's items, one after the other."""
    lists = column.arr.to_list() if isinstance(column.dtype, pl.Array) else column
    array: Any = lists.rechunk().to_arrow()
    items = _records([pl.Series(array.flatten())], backend)
    offsets = np.zeros(len(lists) + 1, np.int64)
    np.cumsum(lists.list.len().fill_null(0).to_numpy(), out=offsets[1:])
    return xxh3.hash128(items.reshape(-1).view(np.uint8), offsets * (8 * items.shape[1]), backend=backend)


def _hashed(records: NDArray[np.uint64], backend: AnyBackend) -> NDArray[np.uint64]:
    rows, words = records.shape
    return xxh3.hash128(records.reshape(-1).view(np.uint8), np.arange(rows + 1) * (8 * words), backend=backend)
