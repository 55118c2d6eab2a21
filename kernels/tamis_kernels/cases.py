"""What `tamis_kernels.measure` times: one call of each operation, and of each function that hands over other work, with inputs of any size.

Names and sizes are those that the public functions give `tamis_kernels.backend.implementation`, so that a size found here holds there.
`ranks` and `yeo_johnson` are not among them, since `auto` leaves them to the CPU.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from tamis_kernels import (
    affine,
    bands,
    components,
    fss,
    groups,
    hamming,
    histogram,
    jaccard,
    jpeg,
    minhash,
    moments,
    ngram_keys,
    ngrams,
    perceptual,
    photos,
    png,
    quality,
    quantiles,
    sensor,
    symbols,
    validity,
    viterbi,
    windows,
    xxh3,
)
from tamis_kernels.random_jpeg import photo

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tamis_kernels.types import Float64s, Int64s, Uint8s

TEXT, ROW, WINDOW, SERIES, GRID = 1_800, 300, 60, 10_000, (47, 62)
SMALL = 1 << 14
"""Bytes below which inputs are to see that all works: pictures are small, so that one fits."""
SECOND = 10**9
LIMITS = sensor.Limits(
    sentinels=(-9999.0,), suspect_span=(10.0, 30.0), fail_span=(0.0, 40.0), spike=(5.0, 9.0), spike_differential=(5.0, 9.0),
    rate=(5.0, 9.0), flat_tolerance=0.05, flat=(60 * SECOND, 600 * SECOND), attenuated=0.1, attenuated_window=3600 * SECOND,
    gap=10 * SECOND, ordered=True, rails=(0.0, 40.0), period=SECOND, jitter=SECOND // 10, drift=SECOND // 4,
)  # fmt: skip


class Case(NamedTuple):
    """A call to be timed on either backend.

    Attributes
    ----------
    work
        Bytes that it hands over.
    call
        The call; `backend` is its only argument.
    told
        What of its result must be the same everywhere.
    """

    work: int
    call: Callable[..., Any]
    told: Callable[[Any], Any] = lambda found: found


Make = Callable[[np.random.Generator, int], Case]
Photos = Callable[[np.random.Generator, int, int, int], list[bytes]]
"""How many photos of which height and width."""


def of_values(call: Callable[..., Any], dtype: type[np.floating[Any]] = np.float64, **settings: Any) -> Make:
    """Make calls with one column of floats."""

    def make(random: np.random.Generator, size: int) -> Case:
        values = spread(random, size // np.dtype(dtype).itemsize).astype(dtype, copy=False)
        return Case(values.nbytes, partial(call, values, **settings))

    return make


def _of_texts(call: Callable[..., Any]) -> Make:
    def make(random: np.random.Generator, size: int) -> Case:
        data = _letters(random, size)
        ends = np.cumsum(random.integers(2, 9, size // 4))  # of words
        data[ends[ends < size]] = ord(" ")
        return Case(size, partial(call, data, rows_of(size, TEXT), unit="word", ngram=5))

    return make


def _of_tokens(call: Callable[..., Any], *, rows: bool) -> Make:
    def make(random: np.random.Generator, size: int) -> Case:
        tokens = rows_of(size, 6)
        return Case(size, partial(call, _letters(random, size), tokens, *([rows_of(tokens.size - 1, ROW)] if rows else [])))

    return make


def of_hashes(call: Callable[..., Any], dtype: type[np.unsignedinteger[Any]], each: int = ROW) -> Make:
    """Make calls with rows of so many hashes."""

    def make(random: np.random.Generator, size: int) -> Case:
        hashes = _whole(random, dtype, max(1, size // np.dtype(dtype).itemsize))
        return Case(hashes.nbytes, partial(call, hashes, rows_of(hashes.size, each)))

    return make


def _of_words(call: Callable[..., Any]) -> Make:
    def make(random: np.random.Generator, size: int) -> Case:
        hashes = _whole(random, np.uint64, max(1, size // 32), 4)
        return Case(hashes.nbytes, partial(call, hashes))

    return make


def _of_pixels(call: Callable[..., Any], *shape: int) -> Make:
    def make(random: np.random.Generator, size: int) -> Case:
        pixels = _whole(random, np.uint8, max(1, size // math.prod(shape)), *shape)
        return Case(pixels.nbytes, partial(call, pixels))

    return make


def _photos(random: np.random.Generator, count: int, height: int, width: int) -> list[bytes]:
    return [photo(random, height, width) for _ in range(count)]


def of_files(
    call: Callable[..., Any], told: Callable[[Any], Any] = list, photos_of: Photos = _photos, height: int = 384, width: int = 512
) -> Make:
    """Make calls with JPEG files, six of which differ."""

    def make(random: np.random.Generator, size: int) -> Case:
        few = photos_of(random, 2, 16, 24) if size < SMALL else photos_of(random, 6, height, width)
        files = [bytes(bytearray(few[number % len(few)])) for number in range(max(1, size // len(few[0])))]  # each in a place of its own
        return Case(sum(map(len, files)), partial(call, files), told)

    return make


def _windows(random: np.random.Generator, size: int) -> Case:
    values = spread(random, size // 8)
    return Case(values.nbytes, partial(windows.describe, values, rows_of(values.size, WINDOW)))


def _symbols(random: np.random.Generator, size: int) -> Case:
    values = spread(random, max(1, size // 8 // WINDOW) * WINDOW)
    return Case(values.nbytes, partial(symbols.words, values.reshape(-1, WINDOW), segments=12))


def _validity(random: np.random.Generator, size: int) -> Case:
    values = spread(random, size // 8)
    return Case(values.nbytes, partial(validity.valid, values, (np.packbits(values < 25, bitorder="little"), 0)))


def of_series(signal: Callable[[np.random.Generator, int], Float64s], each: int = SERIES) -> Make:
    """Make all tests of series of so many readings, a second apart."""

    def make(random: np.random.Generator, size: int) -> Case:
        value = signal(random, max(1, size // 16))
        call = partial(sensor.quality_of_groups, np.arange(value.size) * SECOND, value, rows_of(value.size, each), LIMITS)
        return Case(2 * value.nbytes, call)

    return make


def noise(random: np.random.Generator, count: int) -> Float64s:
    """Return readings of a sensor, of which some were not taken."""
    value = spread(random, count)
    value[::50] = LIMITS.sentinels[0]
    return value


def _viterbi(random: np.random.Generator, size: int) -> Case:
    value = 15 + np.cumsum(random.normal(0, 0.2, max(1, size // 8)))
    return Case(value.nbytes, partial(viterbi.converted_spans, value, np.ones(value.size, np.bool_), 1.8, 32.0, spread=0.2))


def of_records(each: int) -> Make:
    """Make digests of records of so many bytes."""
    return lambda random, size: Case(size, partial(xxh3.hash128, _whole(random, np.uint8, size), rows_of(size, each)))


def _bands(random: np.random.Generator, size: int) -> Case:
    signatures = _whole(random, np.uint32, max(1, size // 512), 128)
    return Case(signatures.nbytes, partial(bands.keys, signatures, bands=16, rows=8))


def _groups(random: np.random.Generator, size: int) -> Case:
    keys = _whole(random, np.uint64, max(1, size // 8))
    return Case(keys.nbytes, partial(groups.sort_by_key, keys))


def _components(random: np.random.Generator, size: int) -> Case:
    members = max(1, size // 16)
    left, right = random.integers(0, members, (2, members))

    def joined(backend: Any) -> Int64s:
        parent = np.arange(members)
        components.union(parent, left, right, backend=backend)
        return parent

    return Case(left.nbytes + right.nbytes, joined, partial(components.roots, backend="cpu"))  # the trees may differ, their roots not


def _roots(random: np.random.Generator, size: int) -> Case:
    parent = random.integers(0, np.arange(max(1, size // 8)) + 1)
    return Case(parent.nbytes, partial(components.roots, parent))


def _jaccard(random: np.random.Generator, size: int) -> Case:
    each = 8 if size < SMALL else ROW
    rows = max(1, size // (4 * each + 64))
    sets = np.cumsum(random.integers(1, 20, (rows, each), np.uint32), axis=1, dtype=np.uint32).reshape(-1)
    left, right = random.integers(0, rows, (2, 4 * rows))
    return Case(sets.nbytes + left.nbytes + right.nbytes, partial(jaccard.pairs, sets, rows_of(sets.size, each), left, right))


def of_pairs(words: int, limit: int, method: hamming.Method = "auto") -> Make:
    """Make searches among hashes of so many words, each of which has one near it."""

    def make(random: np.random.Generator, size: int) -> Case:
        half = _whole(random, np.uint64, max(1, size // (16 * words)), words)
        hashes = np.concatenate((half, half ^ np.uint64(5)))
        return Case(hashes.nbytes, partial(hamming.pairs, hashes, limit, method=method))

    return make


def _distances(random: np.random.Generator, size: int) -> Case:
    left, right = _whole(random, np.uint64, 2, max(1, size // 64), 4)
    return Case(left.nbytes + right.nbytes, partial(hamming.distances, left, right))


def _pictures(random: np.random.Generator, size: int) -> tuple[Uint8s, Int64s]:
    shape = (8, 8) if size < SMALL else GRID
    many = max(1, size // math.prod(shape))
    return _whole(random, np.uint8, many * math.prod(shape)), np.tile(shape, (many, 1))


def _perceptual(random: np.random.Generator, size: int) -> Case:
    pixels, shapes = _pictures(random, size)
    return Case(pixels.nbytes, partial(perceptual.describe, pixels, shapes, extents=8 * shapes))


def _pdq(random: np.random.Generator, size: int) -> Case:
    side = max(5, int(size**0.5))
    return Case(side**2, partial(perceptual.pdq, _whole(random, np.uint8, side, side)))


def _likeness(random: np.random.Generator, size: int) -> Case:
    left, right = _whole(random, np.uint8, 2, max(1, size // 512), 256)
    return Case(left.nbytes + right.nbytes, partial(perceptual.likeness, left, right))


def _quality(random: np.random.Generator, size: int) -> Case:
    pixels, shapes = _pictures(random, size)
    return Case(pixels.nbytes, partial(quality.measure, pixels, shapes))


def of_lines(*filters: int) -> Make:
    """Make pictures of three colours out of filtered lines, the filters in turns."""

    def make(random: np.random.Generator, size: int) -> Case:
        width = 9 if size < SMALL else 2_000
        length = png.row_bytes(width, 8, 2)
        lines = _whole(random, np.uint8, max(1, size // length), length)
        lines[:, 0] = np.resize(filters, len(lines))
        return Case(lines.nbytes, partial(png.gray, lines.reshape(-1), (len(lines), width), depth=8, colour=2))

    return make


def told_of_photos(found: photos.Photos) -> list[Any]:
    """Return what is told of photos, to be compared."""
    return [found.walks, found.seen, found.hashes, found.qualities, found.small, found.figures]


def spread(random: np.random.Generator, count: int) -> Float64s:
    """Return values about 20 whose deviation is 5, at least one."""
    return 20 + 5 * random.standard_normal(max(1, count))


def _whole(random: np.random.Generator, dtype: type[np.unsignedinteger[Any]], *shape: int) -> NDArray[Any]:
    return random.integers(0, np.iinfo(dtype).max, shape, dtype, endpoint=True)


def _letters(random: np.random.Generator, size: int) -> Uint8s:
    return random.integers(ord("a"), ord("z"), size, np.uint8, endpoint=True)


def rows_of(size: int, each: int) -> Int64s:
    """Return where rows of so many entries begin, and where the last one ends."""
    return np.append(np.arange(0, size, each), size).astype(np.int64)


CASES: dict[str, Make] = {
    "affine": of_values(affine.transform, centre=20.0, scale=5.0),
    "affine.lookup": _of_pixels(partial(affine.lookup, tables=np.linspace(-2, 2, 768, dtype=np.float32).reshape(3, 256)), 3),
    "bands": _bands,
    "components": _components,
    "components.roots": _roots,
    "fss": of_hashes(fss.signatures, np.uint64),
    "fss.text_signatures": _of_texts(fss.text_signatures),
    "fss.token_signatures": _of_tokens(fss.token_signatures, rows=True),
    "groups": _groups,
    "hamming": of_pairs(4, 31),
    "hamming.distances": _distances,
    "histogram": of_values(histogram.histogram, edges=np.linspace(0, 40, 101)),
    "histogram.byte_counts": _of_pixels(histogram.byte_counts, 3),
    "jaccard": _jaccard,
    "jaccard.sorted_sets": of_hashes(jaccard.sorted_sets, np.uint32),
    "jpeg": of_files(jpeg.walk_many),
    "minhash": of_hashes(minhash.signatures, np.uint32),
    "minhash.text_signatures": _of_texts(minhash.text_signatures),
    "moments": of_values(moments.accumulate),
    "moments.accumulate_fixed": of_values(moments.accumulate_fixed, low=-100.0, high=100.0),
    "ngram_keys": _of_texts(ngram_keys.keys),
    "ngram_keys.token_keys": _of_tokens(ngram_keys.token_keys, rows=False),
    "ngrams": _of_texts(ngrams.hashes),
    "perceptual": _perceptual,
    "perceptual.likeness": _likeness,
    "perceptual.parted": _of_words(perceptual.parted),
    "perceptual.pdq": _pdq,
    "perceptual.phash64": _of_pixels(perceptual.phash64, 32, 32),
    "perceptual.turned": _of_words(perceptual.turned),
    "photos": of_files(photos.describe, told_of_photos),
    "png": of_lines(0, 1, 2, 3, 4),
    "quality": _quality,
    "quantiles": of_values(quantiles.quantiles, probabilities=[0.25, 0.5, 0.75]),
    "sensor": of_series(noise),
    "sensor.hampel": of_values(sensor.hampel),
    "symbols": _symbols,
    "validity": _validity,
    "viterbi": _viterbi,
    "windows": _windows,
    "xxh3": of_records(64),
}
