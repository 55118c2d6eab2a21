"""CUDA kernels against the CPU's on all threads, from host memory to host memory.

bash bench/gpu.sh                                                               # on a GPU: tests, sanitizer, this
NUMBA_ENABLE_CUDASIM=1 NUMBA_DISABLE_JIT=1 python bench/bench_cuda.py --quick   # anywhere, to see that it works; no figures
PYTHONPATH=tests/cuda/emulated_gpu:kernels:engine .venv-cuda/bin/python bench/bench_cuda.py --quick   # the same on compiled kernels
"""

from __future__ import annotations

import json
import sys
import tempfile
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from harness import Report, Row

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
    ranks,
    sensor,
    symbols,
    validity,
    viterbi,
    windows,
    xxh3,
    yeo_johnson,
)
from tamis_kernels.backend import cuda_problem, resident, simulated
from tamis_kernels.cases import LIMITS, SECOND
from tamis_kernels.crossovers import least
from tamis_kernels.measure import equal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from harness import Lane
    from numpy.typing import NDArray

SLOTS = 128
BYTES = 1 << 28
SHARES = (10_000, 1_000, 100, 10, 1)  # of the largest inputs, to find the size from which on the GPU is worth its copies
CUDA, CPU = "cuda, host to host", "cpu, all threads"


def link(report: Report) -> float:
    """Return the bytes a second that a copy from the host's pinned memory to the device reaches, and print it beside other ways."""
    if simulated():
        return 0.0
    import cupy
    import cupyx

    from tamis_kernels.device import copy_to_device

    size = 1 << 20 if pretended() else BYTES
    pageable = np.ones(size, np.uint8)
    pinned = cupyx.empty_pinned(size, np.uint8)
    device = cupy.empty(size, np.uint8)

    def copy(source: NDArray[np.uint8]) -> None:
        device.set(source)
        cupy.cuda.runtime.deviceSynchronize()

    def staged() -> None:
        copy_to_device(pageable)
        cupy.cuda.runtime.deviceSynchronize()

    def on_device() -> None:
        device.copy()
        cupy.cuda.runtime.deviceSynchronize()

    lanes: dict[str, Lane] = {
        "pinned to device": partial(copy, pinned),
        "pageable to device, as tamis stages it": staged,
        "pageable to device": partial(copy, pageable),
        "on the device": on_device,
    }
    rows = report.time(f"copies of {size >> 20} MB", lanes, work=size / 1e9, unit="GB")
    return 0.0 if pretended() else rows["pinned to device"].rate * 1e9


def pretended() -> bool:
    """Return whether there is no GPU: kernels run in Numba's simulator or on the emulator, and inputs are as good as nothing."""
    return simulated() or "emulator" in sys.modules


@dataclass(frozen=True, slots=True)
class Bench:
    """What inputs of one size are compared by."""

    report: Report
    speed: float  # bytes a second over the link; 0 where there is none
    share: int  # inputs are this part of the largest ones

    def sized(self, full: int, few: int = 60) -> int:
        """Return how large an input is; as good as nothing where there is no GPU."""
        return few if pretended() else max(1, full // self.share)

    def compare(self, case: str, call: Callable[..., Any], *, work: float, unit: str, bytes_moved: int, tolerance: float = 0.0) -> None:
        """Check that CUDA gives what the CPU gives, then time both; the limit is the bytes in and out at the speed of the link."""
        self.report.check(f"{case}: CUDA equals the CPU", equal(call(backend="cuda"), call(backend="cpu"), tolerance))
        limit = work / (bytes_moved / self.speed) if self.speed else None
        self.report.time(
            case,
            {CUDA: partial(call, backend="cuda"), CPU: partial(call, backend="cpu")},
            work=work, unit=unit, limit=limit, limit_note="bytes in and out over the link, pinned memory",
        )  # fmt: skip


def crossovers(rows: Sequence[Row]) -> Iterator[str]:
    """Yield for each case from which size on CUDA is faster, of those that were tried."""
    for case in dict.fromkeys(row.case for row in rows):
        lanes = {lane: [row for row in rows if (row.case, row.lane) == (case, lane)] for lane in (CUDA, CPU)}
        pairs = zip(lanes[CUDA], lanes[CPU], strict=True)
        tried = [(ours.work, median(ours.seconds), median(theirs.seconds)) for ours, theirs in pairs]
        first, sizes = least(tried), ", ".join(f"{work:.3g}" for work in sorted(work for work, _, _ in tried))
        said = "the CPU is faster" if first is None else f"CUDA is faster from {first:.3g} {lanes[CUDA][0].unit} on"
        yield f"crossover: {case}: {said} (of {sizes})"


def bench_signatures(bench: Bench) -> None:
    generator = np.random.default_rng(1)
    total = bench.sized(1 << 26)
    narrow = generator.integers(0, 2**32, total, dtype=np.uint32)
    for size in (64, 1024, 65536):
        rows = np.arange(0, total + 1, min(size, total // 2))
        elements = narrow[: rows[-1]]
        out = 4 * SLOTS * (rows.size - 1)
        for name, module, width in (("affine32", minhash, 4), ("fss", fss, 8)):
            bench.compare(
                f"{name}, rows of {size}", partial(module.signatures, elements if width == 4 else elements.astype(np.uint64), rows),
                work=elements.size / 1e6, unit="M elements", bytes_moved=width * elements.size + out,
            )  # fmt: skip


def bench_texts(bench: Bench) -> None:
    generator = np.random.default_rng(2)
    words = np.array([f"w{i:x}" for i in range(20_000)])
    count = max(2, bench.sized(200_000))
    texts = [" ".join(words[generator.integers(0, words.size, 6 if pretended() else 300)]).encode() for _ in range(count)]
    data, offsets = np.frombuffer(b"".join(texts), np.uint8), np.cumsum([0, *map(len, texts)])
    for name, module in (("affine32", minhash), ("fss", fss)):
        bench.compare(
            f"{name} of word 5-grams", partial(module.text_signatures, data, offsets, unit="word", ngram=5),
            work=data.size / 1e6, unit="MB", bytes_moved=data.size + 4 * SLOTS * count,
        )  # fmt: skip
    for case, of_texts, width in (("hashes of", ngrams.hashes, 4), ("keys of", ngram_keys.keys, 8)):
        bench.compare(f"{case} word 5-grams", partial(of_texts, data, offsets, unit="word", ngram=5), work=data.size / 1e6, unit="MB",
                      bytes_moved=data.size + width * sum(len(text.split()) for text in texts))  # fmt: skip


def bench_clusters(bench: Bench) -> None:
    generator = np.random.default_rng(3)
    rows = bench.sized(1_000_000)
    table = generator.integers(0, 2**32, (rows, SLOTS), dtype=np.uint32)
    bench.compare("16 x 8 band keys", partial(bands.keys, table, bands=16, rows=8),
                  work=16 * rows / 1e6, unit="M keys", bytes_moved=table.nbytes + 128 * rows)  # fmt: skip
    keys = generator.integers(0, 2**64 - 1, bench.sized(32_000_000), dtype=np.uint64)
    bench.compare("grouping by key", partial(groups.sort_by_key, keys),
                  work=keys.size / 1e6, unit="M keys", bytes_moved=28 * keys.size)  # fmt: skip
    members = bench.sized(20_000_000)
    left, right = generator.integers(0, members, (2, members))

    def clusters(backend: Any) -> NDArray[np.int64]:
        parent = np.arange(members)
        components.union(parent, left, right, backend=backend)
        return components.roots(parent, backend=backend)

    bench.compare("union-find of random edges", clusters, work=members / 1e6, unit="M edges", bytes_moved=48 * members)
    size = 4 if pretended() else 500
    sets, offsets = jaccard.sorted_sets(generator.integers(0, 10 * size, size * max(4, rows // 20)).astype(np.uint32),
                                        np.arange(0, size * max(4, rows // 20) + 1, size))  # fmt: skip
    one, other = generator.integers(0, offsets.size - 1, (2, rows))
    bench.compare(f"Jaccard of pairs of {size}", partial(jaccard.pairs, sets, offsets, one, other),
                  work=rows / 1e6, unit="M pairs", bytes_moved=sets.nbytes + 24 * rows)  # fmt: skip


def bench_statistics(bench: Bench) -> None:
    generator = np.random.default_rng(4)
    count = bench.sized(1 << 26) // 60 * 60
    values = 20 + 5 * generator.standard_normal(count)
    knots, samples = np.linspace(0, 40, 1001), values.reshape(-1, 60)
    normal = affine.transform(values, 20.0, 5.0, backend="cpu")
    calls: list[tuple[str, Callable[..., Any], int, float]] = [
        ("exact moments", partial(moments.accumulate, values), 8, 0.0),
        ("moments on a grid", partial(moments.accumulate_fixed, values, low=-100.0, high=100.0), 8, 0.0),
        ("z-score", partial(affine.transform, values, 20.0, 5.0), 16, 0.0),
        ("z-score undone", partial(affine.inverse, normal, 20.0, 5.0), 16, 0.0),
        ("values that are not null", partial(validity.valid, values, (np.packbits(values < 25, bitorder="little"), 0)), 15, 0.0),
        ("three quantiles", partial(quantiles.quantiles, values, [0.25, 0.5, 0.75]), 8, 0.0),
        ("places among 1,001 quantiles", partial(ranks.transform, values, knots), 16, 0.0),
        ("Yeo-Johnson", partial(yeo_johnson.transform, values, 0.5), 32, 1e-13),
        ("words of windows of 60", partial(symbols.words, samples, segments=12), 8, 0.0),
        ("figures of windows of 60", partial(windows.describe, values, np.arange(0, count + 1, 60)), 9, 0.0),
    ]
    for case, call, width, tolerance in calls:
        bench.compare(case, call, work=count / 1e6, unit="M values", bytes_moved=width * count, tolerance=tolerance)

    def counted(backend: Any) -> Any:
        return histogram.histogram(values, np.linspace(0, 40, 101), backend=backend).counts

    bench.compare("histogram of 100 bins", counted, work=count / 1e6, unit="M values", bytes_moved=8 * count)
    pixels = generator.integers(0, 256, (max(1, bench.sized(1 << 26) // 3), 3), np.uint8)
    bench.compare("bytes by value", partial(histogram.byte_counts, pixels), work=pixels.size / 1e6, unit="M bytes",
                  bytes_moved=pixels.size)  # fmt: skip


def bench_sensors(bench: Bench) -> None:
    """Many series, and one, of noise, and of a slow signal whose stretches hang on those before; then all that is asked of a batch."""
    generator = np.random.default_rng(7)
    count = bench.sized(1 << 25)
    noise = 20 + 2 * generator.standard_normal(count)
    noise[generator.integers(0, count, count // 50)] = -9999.0
    slow = np.round(20 + 5 * np.sin(np.arange(count) / 3e5), 2)
    time = np.arange(count) * SECOND
    rows = count / 1e6
    for name, value in (("noise", noise), ("a slow signal", slow)):
        for case, series in (("one series", 1), ("many series", max(2, count // 10_000))):
            offsets = np.linspace(0, count, series + 1).astype(np.int64)
            call = partial(sensor.quality_of_groups, time, value, offsets, LIMITS)
            bench.compare(f"13 tests, {case} of {name}", call, work=rows, unit="M rows", bytes_moved=21 * count)
    for window in (21, 99):
        bench.compare(f"Hampel, {window} rows", partial(sensor.hampel, noise, window=window), work=rows, unit="M rows",
                      bytes_moved=9 * count)  # fmt: skip
    bench.compare("digests of rows of 16 bytes", partial(xxh3.hash128, noise.view(np.uint8), np.arange(0, 8 * count + 1, 16)),
                  work=rows, unit="M values", bytes_moved=24 * count)  # fmt: skip
    offsets = np.linspace(0, count, max(2, count // 10_000)).astype(np.int64)

    def visit(backend: Any) -> Any:
        with resident(backend, time, noise, operations=("sensor", "moments", "xxh3")):
            bits, flags = sensor.quality_of_groups(time, noise, offsets, LIMITS, backend=backend)
            told = moments.accumulate(noise, backend=backend).to_dict()
            return bits, flags, json.dumps(told), xxh3.hash128(noise.view(np.uint8), np.arange(0, 8 * count + 1, 16), backend=backend)

    bench.compare("tests, moments and digests", visit, work=rows, unit="M rows", bytes_moved=37 * count)


def bench_hamming(bench: Bench) -> None:
    generator = np.random.default_rng(5)
    count = bench.sized(400_000)
    cases: tuple[tuple[int, int, Literal["all", "index"]], ...] = ((1, 3, "all"), (1, 3, "index"), (4, 31, "all"), (4, 31, "index"))
    for words, limit, method in cases:
        hashes = generator.integers(0, 2**64 - 1, (count, words), dtype=np.uint64)
        hashes[count // 2 :] = hashes[: count - count // 2] ^ np.uint64(5)
        bench.compare(f"pairs of {64 * words} bits, {method}", partial(hamming.pairs, hashes, limit, method=method),
                      work=count * (count - 1) / 2e9, unit="G pairs", bytes_moved=hashes.nbytes)  # fmt: skip


def bench_pictures(bench: Bench) -> None:
    from pictures import jpegs  # which needs Pillow, as the kernels do not

    generator = np.random.default_rng(6)
    height, width = (16, 24) if pretended() else (768, 1024)
    files = jpegs(generator, 2 if pretended() else 64, height, width)
    wanted = bench.sized(16_384, 2)
    files = (files * -(-wanted // len(files)))[:wanted]
    size = sum(map(len, files))
    bench.compare("JPEG walk", partial(jpeg.walk_many, files), work=len(files), unit="photos",
                  bytes_moved=size + len(files) * height * width // 64 * 3)  # fmt: skip
    bench.compare("JPEG walk, PDQ and quality in one pass", partial(told, files), work=len(files), unit="photos",
                  bytes_moved=size + 550 * len(files))  # fmt: skip
    small = generator.integers(0, 256, (max(2, bench.sized(20_000, 2)), 12, 16)).astype(np.uint8)
    packed = perceptual.pack(list(small))
    bench.compare("figures of quality", partial(quality.measure, *packed), work=len(small), unit="pictures",
                  bytes_moved=small.size + 240 * len(small))  # fmt: skip
    bench_hashes(bench, generator)
    bench_png(bench, generator)


def told(files: list[bytes], *, backend: Any) -> list[Any]:
    """Return what one pass tells of photos, to be compared."""
    found = photos.describe(files, backend=backend)
    return [found.walks, found.seen, found.hashes, found.qualities, found.small, found.figures]


def bench_hashes(bench: Bench, generator: np.random.Generator) -> None:
    side = 8 if pretended() else 60
    small = generator.integers(0, 256, (max(2, bench.sized(50_000, 2)), side, side)).astype(np.uint8)
    packed = perceptual.pack(list(small))
    describe = partial(perceptual.describe, *packed, extents=8 * packed[1])
    bench.compare(f"PDQ of cells, {side} x {side}", describe, work=len(small), unit="pictures",
                  bytes_moved=small.size + 289 * len(small))  # fmt: skip
    squares = generator.integers(0, 256, (max(2, bench.sized(200_000, 2)), 32, 32)).astype(np.uint8)
    bench.compare("pHash of 32 x 32", partial(perceptual.phash64, squares), work=len(squares), unit="pictures",
                  bytes_moved=squares.size + 8 * len(squares))  # fmt: skip
    hashes = generator.integers(0, 2**64 - 1, (bench.sized(1_000_000), 4), dtype=np.uint64)
    bench.compare("eight forms of a hash", partial(perceptual.turned, hashes), work=len(hashes), unit="hashes",
                  bytes_moved=9 * hashes.nbytes)  # fmt: skip
    left, right = generator.integers(0, 256, (2, bench.sized(200_000), 256)).astype(np.uint8)
    bench.compare("likeness of small pictures", partial(perceptual.likeness, left, right), work=len(left), unit="pairs",
                  bytes_moved=520 * len(left))  # fmt: skip


def bench_png(bench: Bench, generator: np.random.Generator) -> None:
    height, width = (6, 9) if pretended() else (bench.sized(6000), 2000)
    for case, filters in (("any filter", np.arange(height) % 5), ("rows that all look up", np.full(height, 4))):
        lines = generator.integers(0, 256, (height, png.row_bytes(width, 8, 2)), np.uint8)
        lines[:, 0] = filters
        bench.compare(f"PNG, {case}", partial(png.gray, lines.reshape(-1), (height, width), depth=8, colour=2), work=lines.size / 1e6,
                      unit="MB of rows", bytes_moved=lines.size + height * width)  # fmt: skip
    rows = bench.sized(1_000_000)
    value = 15 + np.cumsum(generator.normal(0, 0.2, rows))
    spans = partial(viterbi.converted_spans, value, np.ones(rows, np.bool_), 1.8, 32.0, spread=0.2)
    bench.compare("converted spans of one series", spans, work=rows / 1e6, unit="M rows", bytes_moved=10 * rows)


def bench_datasketch(report: Report) -> None:
    """Compare with datasketch's MinHash in its GPU mode, which sends the hashes of one row at a time through CuPy."""
    if pretended():
        print("no lane of datasketch: its GPU mode needs CuPy and a GPU")
        return
    try:
        from datasketch import MinHash

        new = partial(MinHash, num_perm=SLOTS, seed=1, hashfunc=int, gpu_mode="always")
        new().update_batch([1])
    except (ImportError, TypeError, RuntimeError) as error:  # TypeError: a version without the mode
        print(f"no lane of datasketch: {error}")
        return

    def sketched(rows: list[list[int]]) -> NDArray[np.uint32]:
        sketches = [new() for _ in rows]
        for sketch, row in zip(sketches, rows, strict=True):
            sketch.update_batch(row)
        return np.array([sketch.hashvalues for sketch in sketches])

    for size, many in ((1024, 200), (65536, 20)):
        elements = np.random.default_rng(size).integers(0, 2**32, size * many, dtype=np.uint32)
        ours = partial(minhash.signatures, elements, np.arange(0, size * many + 1, size), backend="cuda")
        rows = elements.reshape(-1, size).tolist()  # as it takes them
        report.check(f"{many} rows of {size}: the signatures of datasketch in GPU mode", np.array_equal(ours(), sketched(rows)))
        lanes: dict[str, Lane] = {"tamis, cuda": ours, "datasketch, gpu_mode": partial(sketched, rows)}
        report.time(f"affine32, {many} rows of {size}", lanes, work=size * many / 1e6, unit="M elements")


def bench_run(report: Report) -> None:
    """Clean a sample corpus on both backends: the files must be the same."""
    if simulated():
        return  # tests/engine/test_backends.py does it there, in small blocks
    try:
        from tamis import clean, write_sample
    except ImportError as error:
        print(f"no whole run: {error}")
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        share = 1000 if pretended() else 100 if report.quick else 1
        write_sample(folder, images=max(40, 2000 // share), rows=max(2000, 1_000_000 // share), documents=max(50, 50_000 // share))

        def cleaned(backend: Any) -> dict[str, bytes]:
            out = folder / backend
            settings = {"normalize.method": "zscore", "quality_control.enabled": True}
            clean(folder / "corpus", out, settings=settings, backend=backend, overwrite=True)
            return {str(path.relative_to(out)): path.read_bytes() for path in sorted(out.glob("clean/**/*")) if path.is_file()} | {
                name: (out / name).read_bytes() for name in ("rejects.parquet", "notes.parquet", "clusters.parquet", "series.parquet")
            }

        report.check("a whole run: CUDA leaves the bytes of the CPU", cleaned("cuda") == cleaned("cpu"))
        lanes: dict[str, Lane] = {"cuda": partial(cleaned, "cuda"), "cpu, all cores": partial(cleaned, "cpu")}
        report.time("a whole run of a sample corpus", lanes, work=1, unit="runs", runs=3)


BENCHES = (bench_signatures, bench_texts, bench_clusters, bench_statistics, bench_sensors, bench_hamming, bench_pictures)


def main() -> None:
    if problem := cuda_problem():
        sys.exit(f"CUDA cannot run here: {problem}")
    report = Report.from_arguments((__doc__ or "").splitlines()[0])
    speed = link(report)
    for bench in BENCHES:
        done = len(report.rows)
        for share in (100,) if report.quick else SHARES:
            bench(Bench(report, speed, share))
        print(*crossovers(report.rows[done:]), sep="\n")
    bench_datasketch(report)
    bench_run(report)


if __name__ == "__main__":
    main()
