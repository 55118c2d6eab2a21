"""MinHash signatures in CUDA.

A block takes up to SEGMENT hashes of one row. A thread holds four permutations and their minima in registers; the hashes, mixed once, stand
in shared memory, from where all threads of a warp read the same one at a time. So an image costs a multiply-add and a minimum and no
access to memory of its own. Parts of a long row meet in the signature by an atomic minimum.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numba import cuda, uint32

from tamis_kernels.device import launch_blocks, streamed, to_device, to_host
from tamis_kernels.minhash.cpu import HELD, fmix32, image
from tamis_kernels.ngrams.cuda import find_units, hashes_of, stream_texts

if TYPE_CHECKING:
    from numpy.typing import NDArray

THREADS = 32  # of four permutations each: 128 slots in one round
SEGMENT = 4096
TILE = 256
ROW_BYTES = 48  # of the device that a row takes beside hashes and signature
u32, u64 = np.uint32, np.uint64
EMPTY = u32(0xFFFFFFFF)


def signatures(
    hashes: NDArray[np.uint32],
    row_offsets: NDArray[np.int64],
    a: NDArray[np.uint32],
    b: NDArray[np.uint32],
    out: NDArray[np.uint32],
) -> None:
    """Lower row i of `out` to the least images of the row's hashes."""

    def lowered(first: int, last: int, some: Any, found: Any) -> tuple[Any]:
        lower_into(some, row_offsets[first : last + 1] - row_offsets[first], a, b, found)
        return (found,)

    streamed(
        4 * row_offsets + (out[:1].nbytes + ROW_BYTES) * np.arange(row_offsets.size),
        lambda first, last: (hashes[row_offsets[first] : row_offsets[last]], out[first:last]),
        lowered,
        lambda first, last: (out[first:last],),
    )


def text_signatures(
    data: NDArray[np.uint8],
    offsets: NDArray[np.int64],
    validity: NDArray[np.bool_],
    unit: int,
    ngram: int,
    a: NDArray[np.uint32],
    b: NDArray[np.uint32],
    out: NDArray[np.uint32],
) -> None:
    """Lower row i of `out` to the least images of the hashes of the row's n-grams, which stay on the device."""

    def work(text: Any, bounds: Any, there: Any, found: Any) -> None:
        units = find_units(text, bounds, there, unit)
        gram_rows = units.gram_rows(ngram)
        row_offsets = np.empty(gram_rows.size, np.int64)
        to_host(gram_rows, row_offsets)
        lower_into(hashes_of(units, unit, ngram, gram_rows), row_offsets, a, b, found)

    stream_texts(data, offsets, validity, work, out)


def lower_into(hashes: Any, row_offsets: NDArray[np.int64], a: NDArray[np.uint32], b: NDArray[np.uint32], found: Any) -> None:
    """Lower signatures on the device."""
    rows, starts, stops = segments(row_offsets, SEGMENT)
    if rows.size:
        launch_blocks(lower, rows.size, THREADS, hashes, *(to_device(one) for one in (rows, starts, stops, a, b)), found)


def segments(row_offsets: NDArray[np.int64], most: int) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Cut rows into parts of at most `most` elements; return the row, start and stop of each, none for an empty row."""
    sizes = np.diff(row_offsets)
    parts = -(-sizes // most)
    rows = np.repeat(np.arange(sizes.size), parts)
    number = np.arange(rows.size) - np.repeat(np.cumsum(parts) - parts, parts)
    starts = row_offsets[rows] + number * most
    return rows, starts, np.minimum(starts + most, row_offsets[rows + 1])


@cuda.jit
def lower(
    hashes: NDArray[np.uint32],
    rows: NDArray[np.int64],
    starts: NDArray[np.int64],
    stops: NDArray[np.int64],
    a: NDArray[np.uint32],
    b: NDArray[np.uint32],
    out: NDArray[np.uint32],
) -> None:
    """Lower the signature of the row that a block's segment belongs to."""
    tile = cuda.shared.array(TILE, uint32)
    segment, thread = cuda.blockIdx.x, cuda.threadIdx.x
    row, start, stop = rows[segment], starts[segment], stops[segment]
    for first in range(thread, a.size + thread, 4 * THREADS):
        last = a.size - 1  # threads beyond it do its work once more, which does no harm
        s0, s1 = min(first, last), min(first + THREADS, last)
        s2, s3 = min(first + 2 * THREADS, last), min(first + 3 * THREADS, last)
        a0, a1, a2, a3 = a[s0], a[s1], a[s2], a[s3]
        b0, b1, b2, b3 = b[s0], b[s1], b[s2], b[s3]
        m0 = m1 = m2 = m3 = EMPTY
        for begin in range(start, stop, TILE):
            size = min(TILE, stop - begin)
            cuda.syncthreads()
            padded = (size + HELD - 1) // HELD * HELD
            for i in range(thread, padded, THREADS):
                tile[i] = fmix32(hashes[begin + (i if i < size else 0)])  # a repeat changes no minimum
            cuda.syncthreads()
            for i in range(u64(0), u64(padded), u64(HELD)):  # unrolled, with unsigned places: else the loop costs more than the work
                for j in range(HELD):
                    value = tile[u64(i) + u64(j)]
                    m0, m1 = min(m0, image(a0, b0, value)), min(m1, image(a1, b1, value))
                    m2, m3 = min(m2, image(a2, b2, value)), min(m3, image(a3, b3, value))
        cuda.atomic.min(out, (row, s0), m0)
        cuda.atomic.min(out, (row, s1), m1)
        cuda.atomic.min(out, (row, s2), m2)
        cuda.atomic.min(out, (row, s3), m3)
