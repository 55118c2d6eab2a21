"""What each CUDA kernel would cost a GPU, counted on its compiled code without one, and what that bounds it to on an H200.

make test-cuda && PYTHONPATH=tests/cuda:kernels .venv-cuda/bin/python bench/count_cuda.py [words of cases …]

Needs `nvdisasm`, of CUDA's toolkit or of the package `triton`.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from emulator import counts, grid, install, machine_code
from numba import cuda
from numba.cuda import dispatcher
from pictures import jpegs

from tamis_kernels import (
    affine,
    bands,
    components,
    fss,
    hamming,
    histogram,
    jaccard,
    minhash,
    moments,
    ngram_keys,
    ngrams,
    perceptual,
    photos,
    png,
    quality,
    quantiles,
    ranks,
    sensor,
    symbols,
    viterbi,
    windows,
    xxh3,
    yeo_johnson,
)
from tamis_kernels.cases import LIMITS, SECOND

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MULTIPROCESSORS, CLOCK, BANDWIDTH = 132, 1.98e9, 4.3e12
"""Of an H200, and the bytes a second that a copy on it reads and writes together."""
SEARCHED = 32_768  # hashes
COLUMNS = ("cycles", "alone", "slots", "lanes", "requests", "sectors", "bytes", "turns", "atomics", "bound by", "items/s")
"""For an item of work: cycles of a quarter of a multiprocessor, by its units, and by what its warps wait for; instructions issued; the
share of lanes at work; requests to global memory; sectors of 32 bytes in each; bytes of memory that blocks touch at least once; turns of
shared memory; atomic operations. Below: how long the longest warps of all kernels take by themselves, which is the least for a launch."""


@dataclass(frozen=True, slots=True)
class Case:
    """A call, and how many items of work it is."""

    name: str
    call: Callable[..., Any]
    items: int
    unit: str


counter = counts.Counter()


class Counted(install.Kernel):
    """A kernel some of whose blocks are counted."""

    def __init__(self, py_func: Any, argtypes: tuple[Any, ...], **options: Any) -> None:
        ptx, _ = cuda.compile_ptx(py_func, argtypes, cc=grid.ARCHITECTURE, device=False, fastmath=options.get("fastmath", False))
        name = f"{py_func.__module__.split('.')[1]}.{py_func.__name__}"
        self.plain, self.traced = grid.translated(name, ptx), grid.translated(name, ptx, touch=counts.trace.address, visited=True)
        self.machine = machine_code.machine(ptx, self.traced.blocks)

    def launch(self, arguments: tuple[Any, ...], blocks: tuple[int, ...], threads: tuple[int, ...], _stream: Any, shared: int) -> None:
        """Run a grid."""
        counter.run(self.plain, self.traced, blocks, threads, shared, [install.lowered(one) for one in arguments], self.machine)


def cases() -> Iterator[Case]:
    """Yield what is counted: each operation at inputs of a usual shape."""
    generator = np.random.default_rng(1)
    count = 1 << 22
    values = 20 + 5 * generator.standard_normal(count // 60 * 60)
    elements = generator.integers(0, 2**32, count, dtype=np.uint32)
    for size in (64, 1024, 65_536):
        rows = np.arange(0, count + 1, size)
        yield Case(f"affine32, rows of {size}", lambda rows=rows: minhash.signatures(elements, rows, backend="cuda"), count, "elements")
        yield Case(
            f"fss, rows of {size}", lambda rows=rows: fss.signatures(elements.astype(np.uint64), rows, backend="cuda"), count, "elements"
        )
    words = np.array([f"w{i:x}" for i in range(20_000)])
    texts = [" ".join(words[generator.integers(0, words.size, 300)]).encode() for _ in range(2000)]
    data, offsets = np.frombuffer(b"".join(texts), np.uint8), np.cumsum([0, *map(len, texts)])
    yield Case("hashes of word 5-grams", lambda: ngrams.hashes(data, offsets, unit="word", ngram=5, backend="cuda"), data.size, "bytes")
    yield Case("keys of word 5-grams", lambda: ngram_keys.keys(data, offsets, unit="word", ngram=5, backend="cuda"), data.size, "bytes")
    table = generator.integers(0, 2**32, (50_000, 128), dtype=np.uint32)
    yield Case("16 x 8 band keys", lambda: bands.keys(table, bands=16, rows=8, backend="cuda"), 16 * 50_000, "keys")
    left, right = generator.integers(0, count, (2, count))

    def clusters() -> None:
        parent = np.arange(count)
        components.union(parent, left, right, backend="cuda")
        components.roots(parent, backend="cuda")

    yield Case("union-find of random edges", clusters, count, "edges")
    sets, starts = jaccard.sorted_sets(generator.integers(0, 5000, 500 * 1000).astype(np.uint32), np.arange(0, 500 * 1000 + 1, 500))
    one, other = generator.integers(0, starts.size - 1, (2, 20_000))
    yield Case("Jaccard of pairs of 500", lambda: jaccard.pairs(sets, starts, one, other, backend="cuda"), 20_000, "pairs")
    short = values.astype(np.float32)
    for kind, those in (("float32", short), ("float64", values)):
        yield Case(f"exact moments, {kind}", lambda those=those: moments.accumulate(those, backend="cuda"), those.size, "values")
        yield Case(f"z-score, {kind}", lambda those=those: affine.transform(those, 20.0, 5.0, backend="cuda"), those.size, "values")
        yield Case(
            f"three quantiles, {kind}",
            lambda those=those: quantiles.quantiles(those, [0.25, 0.5, 0.75], backend="cuda"),
            those.size,
            "values",
        )
    yield Case("moments on a grid", lambda: moments.accumulate_fixed(values, low=-100.0, high=100.0, backend="cuda"), values.size, "values")
    yield Case(
        "places among 1,001 quantiles", lambda: ranks.transform(values, np.linspace(0, 40, 1001), backend="cuda"), values.size, "values"
    )
    yield Case("Yeo-Johnson", lambda: yeo_johnson.transform(values, 0.5, backend="cuda"), values.size, "values")
    yield Case("words of windows of 60", lambda: symbols.words(values.reshape(-1, 60), segments=12, backend="cuda"), values.size, "values")
    yield Case(
        "figures of windows of 60",
        lambda: windows.describe(values, np.arange(0, values.size + 1, 60), backend="cuda"),
        values.size,
        "values",
    )
    yield Case("histogram of 100 bins", lambda: histogram.histogram(values, np.linspace(0, 40, 101), backend="cuda"), values.size, "values")
    pixels = generator.integers(0, 256, (count, 3), np.uint8)
    yield Case("bytes by value", lambda: histogram.byte_counts(pixels, backend="cuda"), pixels.size, "bytes")
    yield from sensor_cases(generator)
    yield from picture_cases(generator)


def sensor_cases(generator: np.random.Generator) -> Iterator[Case]:
    count = 1 << 20
    noise = 20 + 2 * generator.standard_normal(count)
    slow = np.round(20 + 5 * np.sin(np.arange(count) / 3e5), 2)
    time = np.arange(count) * SECOND
    offsets = np.linspace(0, count, 105).astype(np.int64)
    for name, value in (("noise", noise), ("a slow signal", slow)):
        yield Case(
            f"13 tests, series of {name}",
            lambda value=value: sensor.quality_of_groups(time, value, offsets, LIMITS, backend="cuda"),
            count,
            "rows",
        )
    yield Case("Hampel, 21 rows", lambda: sensor.hampel(noise[:65_536], window=21, backend="cuda"), 65_536, "rows")
    for size in (16, 200, 4000):
        rows = np.arange(0, noise.nbytes // size * size + 1, size)
        yield Case(
            f"digests of records of {size} bytes",
            lambda rows=rows: xxh3.hash128(noise.view(np.uint8), rows, backend="cuda"),
            int(rows[-1]),
            "bytes",
        )
    value = 15 + np.cumsum(generator.normal(0, 0.2, 4096))
    yield Case(
        "converted spans",
        lambda: viterbi.converted_spans(value, np.ones(4096, np.bool_), 1.8, 32.0, spread=0.2, backend="cuda"),
        4096,
        "rows",
    )


def picture_cases(generator: np.random.Generator) -> Iterator[Case]:
    for words, limit in ((1, 3), (4, 31)):
        hashes = generator.integers(0, 2**64 - 1, (SEARCHED, words), dtype=np.uint64)
        for method in ("all", "index"):
            yield Case(
                f"pairs of {64 * words} bits, {method}",
                lambda hashes=hashes, limit=limit, method=method: hamming.pairs(hashes, limit, method=method, backend="cuda"),
                SEARCHED * (SEARCHED - 1) // 2,
                "pairs",
            )
    files = jpegs(generator, 32, 384, 512)
    yield Case("photos", lambda: photos.describe(files, backend="cuda"), sum(map(len, files)), "bytes")
    restarts = {"": {}, ", restarts at each row": {"restart_marker_rows": 1}, ", restarts at 8 MCUs": {"restart_marker_blocks": 8}}
    for name, options in restarts.items():
        large = jpegs(np.random.default_rng(1), 1, 600, 900, quality=90, **options)
        yield Case(f"a large photo{name}", lambda large=large: photos.describe(large, backend="cuda"), sum(map(len, large)), "bytes")
    small = perceptual.pack(list(generator.integers(0, 256, (256, 47, 62)).astype(np.uint8)))
    yield Case("figures of quality, 47 x 62", lambda: quality.measure(*small, backend="cuda"), 256, "pictures")
    squares = generator.integers(0, 256, (512, 32, 32)).astype(np.uint8)
    yield Case("pHash of 32 x 32", lambda: perceptual.phash64(squares, backend="cuda"), 512, "pictures")
    lines = generator.integers(0, 256, (300, png.row_bytes(800, 8, 2)), np.uint8)
    lines[:, 0] = 4
    yield Case("PNG", lambda: png.gray(lines.reshape(-1), (300, 800), depth=8, colour=2, backend="cuda"), lines.size, "bytes")


def bounds(found: counts.Costs) -> dict[str, float]:
    """Return the seconds that each part of an H200 takes for the costs, were it busy all the time."""
    machine = MULTIPROCESSORS * CLOCK
    return {
        "arithmetic": found.cycles / machine_code.QUARTERS / machine,
        "waiting": found.alone / machine_code.QUARTERS / machine,
        "lines": found.lines / machine,
        "shared": found.shared / machine,
        "memory": found.footprint * counts.SECTOR / BANDWIDTH,
    }


def main() -> None:
    """Print a line for each kernel of each case, and what bounds the case."""
    wanted = sys.argv[1:]
    try:
        machine_code.disassembler()
    except FileNotFoundError as error:
        sys.exit(str(error))
    dispatcher._Kernel = Counted
    print(" ".join(f"{name:>11}" for name in COLUMNS), " kernel")
    for case in cases():
        if wanted and not any(word in case.name for word in wanted):
            continue
        counter.found.clear()
        counter.longest.clear()
        case.call()
        print(f"\n{case.name}", flush=True)
        seconds = 0.0
        for name in counter.found:
            one = counter.costs(name)
            part, time = max(bounds(one).items(), key=lambda pair: pair[1])
            seconds += time
            each = (one.cycles, one.alone, one.slots, one.lanes / machine_code.WARP / max(one.slots, 1e-9) * case.items, one.requests,
                    one.sectors / max(one.requests, 1) * case.items, one.footprint * counts.SECTOR, one.shared, one.atomics)  # fmt: skip
            print(" ".join(f"{value / case.items:11.4g}" for value in each), f"{part:>11} {case.items / time:11.3g}  {name}")
        if seconds:
            print(f"at best {case.items / seconds:.3g} {case.unit} a second on an H200", flush=True)
            print("longest warps:", ", ".join(f"{name} {most / CLOCK * 1e6:.3g} us" for name, most in counter.longest.items()), flush=True)


if __name__ == "__main__":
    main()
