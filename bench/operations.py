"""What `bench_cuda` times on a GPU and `count_cuda` counts on compiled code: calls with inputs of any size.

Inputs are those of `tamis_kernels.cases`, by which a user's machine measures; photos are Pillow's.
"""

from __future__ import annotations

from functools import partial
from math import comb
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from pictures import jpegs

from tamis_kernels import affine, components, fss, histogram, jpeg, minhash, moments, photos, quantiles, ranks, sensor, xxh3, yeo_johnson
from tamis_kernels.backend import resident
from tamis_kernels.cases import (
    CASES,
    GRID,
    LIMITS,
    ROW,
    SECOND,
    SERIES,
    Case,
    noise,
    of_files,
    of_hashes,
    of_lines,
    of_pairs,
    of_records,
    of_series,
    of_values,
    rows_of,
    told_of_photos,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from tamis_kernels.cases import Make
    from tamis_kernels.hamming import Method


class Operation(NamedTuple):
    """A call, and what its rate is told in.

    Attributes
    ----------
    make
        Makes the call with inputs of about so many bytes.
    unit
        What its rate counts.
    width
        Bytes handed over for one of these, or for one hash.
    counted
        How many of these, or of hashes, it is counted with; 0 where it is not.
    most
        Bytes of the largest inputs that are timed.
    pairs
        Whether the rate counts all pairs of the hashes.
    tolerance
        How far CUDA may be from the CPU.
    """

    make: Make
    unit: str
    width: int
    counted: int = 0
    most: int = 1 << 28
    pairs: bool = False
    tolerance: float = 0.0

    def items(self, work: int) -> float:
        """Return what the rate counts of so many bytes."""
        return comb(work // self.width, 2) if self.pairs else work / self.width


def _of_column(
    call: Callable[..., Any], dtype: Any = np.float64, *, counted: int = 1 << 22, tolerance: float = 0.0, **given: Any
) -> Operation:
    make = of_values(call, dtype, **given)
    return Operation(make, "values", np.dtype(dtype).itemsize, counted, tolerance=tolerance)


def _of_edges(random: np.random.Generator, size: int) -> Case:
    members = max(1, size // 16)
    left, right = random.integers(0, members, (2, members))

    def call(backend: Any) -> NDArray[np.int64]:
        parent = np.arange(members)
        components.union(parent, left, right, backend=backend)
        return components.roots(parent, backend=backend)

    return Case(left.nbytes + right.nbytes, call)


def _slow(_random: np.random.Generator, count: int) -> NDArray[np.float64]:
    """Return a signal whose stretches hang on those before."""
    return np.round(20 + 5 * np.sin(np.arange(count) / 3e5), 2)


def _of_batches(random: np.random.Generator, size: int) -> Case:
    """Make all that is asked of a batch of readings, which cross the link once."""
    value = noise(random, max(1, size // 16))
    time, series, records = np.arange(value.size) * SECOND, rows_of(value.size, SERIES), rows_of(value.nbytes, 16)

    def call(backend: Any) -> Any:
        with resident(backend, time, value, operations=("sensor", "moments", "xxh3")):
            tests = sensor.quality_of_groups(time, value, series, LIMITS, backend=backend)
            return tests, moments.accumulate(value, backend=backend), xxh3.hash128(value.view(np.uint8), records, backend=backend)

    return Case(2 * value.nbytes, call)


def _of_large_photos(**options: Any) -> Operation:
    """Return a walk of long files, which have a block each; one of them is counted."""
    make = of_files(photos.describe, told_of_photos, partial(jpegs, quality=90, **options), 600, 900)
    return Operation(make, "bytes", 1, 1 << 17)


METHODS: tuple[Method, ...] = ("all", "index")
OPERATIONS: dict[str, Operation] = {
    **{f"affine32, rows of {each}": Operation(of_hashes(minhash.signatures, np.uint32, each), "elements", 4, 1 << 22)
       for each in (64, 1024, 65_536)},
    **{f"fss, rows of {each}": Operation(of_hashes(fss.signatures, np.uint64, each), "elements", 8, 1 << 22)
       for each in (64, 1024, 65_536)},
    "affine32 of word 5-grams": Operation(CASES["minhash.text_signatures"], "bytes", 1),
    "fss of word 5-grams": Operation(CASES["fss.text_signatures"], "bytes", 1),
    "hashes of word 5-grams": Operation(CASES["ngrams"], "bytes", 1, 3_300_000),
    "keys of word 5-grams": Operation(CASES["ngram_keys"], "bytes", 1, 3_300_000),
    "16 x 8 band keys": Operation(CASES["bands"], "keys", 32, 16 * 50_000),
    "grouping by key": Operation(CASES["groups"], "keys", 8),
    "union-find of random edges": Operation(_of_edges, "edges", 16, 1 << 22),
    f"Jaccard of pairs of {ROW}": Operation(CASES["jaccard"], "pairs", ROW + 16, 20_000),
    **{f"exact moments, {kind}": _of_column(moments.accumulate, kind) for kind in ("float32", "float64")},
    **{f"z-score, {kind}": _of_column(affine.transform, kind, centre=20.0, scale=5.0) for kind in ("float32", "float64")},
    "z-score undone": _of_column(affine.inverse, centre=20.0, scale=5.0, counted=0),
    **{f"three quantiles, {kind}": _of_column(quantiles.quantiles, kind, probabilities=[0.25, 0.5, 0.75])
       for kind in ("float32", "float64")},
    "moments on a grid": _of_column(moments.accumulate_fixed, low=-100.0, high=100.0),
    "values that are not null": Operation(CASES["validity"], "values", 8),
    "places among 1,001 quantiles": _of_column(ranks.transform, knots=np.linspace(0, 40, 1001)),
    "Yeo-Johnson": _of_column(yeo_johnson.transform, lambda_=0.5, tolerance=1e-13),
    "words of windows of 60": Operation(CASES["symbols"], "values", 8, 1 << 22),
    "figures of windows of 60": Operation(CASES["windows"], "values", 8, 1 << 22),
    "histogram of 100 bins": _of_column(histogram.histogram, edges=np.linspace(0, 40, 101)),
    "bytes by value": Operation(CASES["histogram.byte_counts"], "bytes", 1, 3 << 22),
    "13 tests, series of noise": Operation(of_series(noise), "rows", 16, 1 << 20),
    "13 tests, series of a slow signal": Operation(of_series(_slow), "rows", 16, 1 << 20),
    "13 tests, one series of noise": Operation(of_series(noise, 1 << 40), "rows", 16),
    "13 tests, one series of a slow signal": Operation(of_series(_slow, 1 << 40), "rows", 16),
    "Hampel, 21 rows": _of_column(sensor.hampel, window=21, counted=1 << 16),
    "Hampel, 99 rows": _of_column(sensor.hampel, window=99, counted=0),
    "tests, moments and digests": Operation(_of_batches, "rows", 16),
    **{f"digests of records of {each} bytes": Operation(of_records(each), "bytes", 1, 1 << 23) for each in (16, 200, 4000)},
    "converted spans": Operation(CASES["viterbi"], "rows", 8, 1 << 12, most=1 << 23),
    **{f"pairs of {64 * words} bits, {method}":
       Operation(of_pairs(words, limit, method), "pairs", 8 * words, 1 << 15, words * 3_200_000, pairs=True)
       for words, limit in ((1, 3), (4, 31)) for method in METHODS},
    "JPEG walk": Operation(of_files(jpeg.walk_many, photos_of=jpegs), "bytes", 1, most=1 << 30),
    "photos": Operation(of_files(photos.describe, told_of_photos, jpegs), "bytes", 1, 1 << 20, most=1 << 30),
    "a large photo": _of_large_photos(),
    "a large photo, restarts at each row": _of_large_photos(restart_marker_rows=1),
    "a large photo, restarts at 8 MCUs": _of_large_photos(restart_marker_blocks=8),
    "figures of quality, {} x {}".format(*GRID): Operation(CASES["quality"], "pictures", GRID[0] * GRID[1], 256),
    "PDQ of cells, {} x {}".format(*GRID): Operation(CASES["perceptual"], "pictures", GRID[0] * GRID[1]),
    "pHash of 32 x 32": Operation(CASES["perceptual.phash64"], "pictures", 32 * 32, 512),
    "eight forms of a hash": Operation(CASES["perceptual.turned"], "hashes", 32, most=1 << 25),
    "likeness of small pictures": Operation(CASES["perceptual.likeness"], "pairs", 512),
    "PNG, any filter": Operation(CASES["png"], "bytes", 1, most=1 << 25),
    "PNG, rows that all look up": Operation(of_lines(4), "bytes", 1, 1 << 20, most=1 << 25),
}  # fmt: skip
