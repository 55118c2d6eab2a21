"""The host's side of the CUDA path, measured without a GPU: copies into pinned memory, and what photos cost where the device takes no time.

Ordinary memory stands for pinned memory, for a GPU's memory and for the link, which takes none of the time; kernels are not run.

    PYTHONPATH=engine:kernels .venv-cuda/bin/python bench/bench_staging.py [--quick]     # after `make test-cuda`: it imports numba-cuda
"""

from __future__ import annotations

import ctypes
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import accumulate, pairwise
from time import perf_counter
from types import ModuleType, SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
from harness import Report
from numba import set_num_threads
from pictures import jpegs

from tamis.media.photos import describe_jpegs
from tamis_kernels import jpeg, photos
from tamis_kernels.jpeg import cpu
from tamis_kernels.jpeg.lane import FILE, IDLE
from tamis_kernels.jpeg.layout import FACTS
from tamis_kernels.threads import copied

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness import Lane
    from numpy.typing import NDArray

THREADS = sorted({1, 2, min(8, os.cpu_count() or 1), os.cpu_count() or 1})


class Array(np.ndarray[Any, Any]):
    """Stands for an array of the device: what goes there is dropped, unless it is looked at."""

    looked_at = False

    def set(self, source: Any, **_: Any) -> None:
        """Receive what crosses the link."""
        if Array.looked_at:
            self[...] = source

    def get(self, out: Any = None, **_: Any) -> Any:
        """Give back what crosses the link."""
        if out is None:
            return np.array(self)
        out[...] = self
        return out


class Stream:
    """Stands for a stream that is through at once."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, *_: object) -> None:
        return None

    def record(self) -> Stream:
        return self

    def synchronize(self) -> None:
        return None


def without_a_device() -> Callable[[NDArray[np.int64]], None]:
    """Let `photos.describe` take the way of CUDA without kernels; return what sets the facts that these are to find."""
    cupy: Any = ModuleType("cupy")
    for name in ("empty", "array", "asarray", "ascontiguousarray"):
        setattr(cupy, name, partial(made, getattr(np, name)))
    cupy.zeros, cupy.full = cupy.empty, lambda shape, _value, dtype: cupy.empty(shape, dtype)  # a device clears its memory itself
    cupy.cuda = SimpleNamespace(Stream=Stream, get_current_stream=Stream, runtime=SimpleNamespace(memGetInfo=lambda: (1 << 36, 1 << 36)))
    pool = SimpleNamespace(free_bytes=lambda: 0, used_bytes=lambda: 0)
    cupy.get_default_memory_pool = lambda: pool
    pinned: Any = ModuleType("cupyx")
    pinned.empty_pinned = np.empty
    sys.modules |= {"cupy": cupy, "cupyx": pinned}
    from tamis_kernels.jpeg import cuda as walks
    from tamis_kernels.perceptual import cuda as hashes
    from tamis_kernels.photos import cuda as chain
    from tamis_kernels.quality import cuda as figures

    known: list[NDArray[np.int64]] = []

    def launch(kernel: Any, _items: int, *given: Any) -> None:
        if kernel is walks.read_headers:
            given[2][:] = known[0][: len(given[2])]
        elif kernel is walks.open_scans:
            given[0].lanes.state[:, FILE] = IDLE

    replace: Any = setattr
    for module in (walks, hashes, figures):
        for name, stand_in in (("launch", launch), ("launch_blocks", lambda *_: None)):
            if hasattr(module, name):
                replace(module, name, stand_in)
    replace(photos, "implementation", lambda *_: chain)
    return lambda facts: known.__setitem__(slice(None), [facts])


def made(function: Callable[..., NDArray[Any]], *given: Any) -> Array:
    """Return what a function of NumPy makes, as an array of the device."""
    return function(*given).view(Array)


def moved(size: int) -> float:
    """Return the GB a second that C's memmove reaches, the fastest of seven times with each number of threads."""
    source, target = np.ones(size, np.uint8), np.ones(size, np.uint8)
    seconds = []
    for threads in THREADS:
        parts = [*zip(np.array_split(target, threads), np.array_split(source, threads), strict=True)]
        with ThreadPoolExecutor(threads) as pool:
            for _ in range(7):
                start = perf_counter()
                [*pool.map(lambda part: ctypes.memmove(part[0].ctypes.data, part[1].ctypes.data, part[0].size), parts)]
                seconds.append(perf_counter() - start)
    return size / min(seconds) / 1e9


def with_threads(threads: int, lane: Lane) -> object:
    """Run a lane with so many threads."""
    set_num_threads(threads)
    return lane()


def bench_copies(report: Report) -> None:
    size = 1 << (22 if report.quick else 26)
    source, target = np.random.default_rng(1).integers(0, 256, size, dtype=np.uint8), np.zeros(size, np.uint8)
    for kind in (np.uint8, np.float64, np.bool_):
        given = source.view(kind) if kind != np.bool_ else source > 99
        for threads in THREADS:
            target[:] = 0
            with_threads(threads, partial(copied, target.view(kind), given))
            report.check(
                f"{np.dtype(kind)}, {threads} threads: a copy is equal",
                np.array_equal(target.view(kind), given, equal_nan=kind == np.float64),
            )
    lanes: dict[str, Lane] = {
        f"tamis, {threads} threads": partial(with_threads, threads, partial(copied, target, source)) for threads in THREADS
    }
    report.time(f"copies of {size >> 20} MB", lanes | {"np.copyto": partial(np.copyto, target, source)}, work=size / 1e9, unit="GB",
                limit=moved(size), limit_note="C's memmove, measured here")  # fmt: skip


def bench_photos(report: Report, know: Callable[[NDArray[np.int64]], None]) -> None:
    """Whole files, and the first KB of each, which leaves what a file costs whatever its size."""
    few, count = jpegs(np.random.default_rng(0), 8, 768, 1024, quality=72), 40 if report.quick else 2_000
    facts = np.zeros((len(few), FACTS), np.int64)
    cpu.walk_group(few, facts)
    know(np.tile(facts, (count, 1)))
    for case, files in (
        (f"{count} photos of 100 KB", few * (count // 8)),
        (f"{count} photos cut to 1 KB", [data[:1024] for data in few] * (count // 8)),
    ):
        check_photos(report, case, files, few[0])
        files = [bytes(memoryview(data)) for data in files]  # each lies in memory of its own
        lanes: dict[str, Lane] = {}
        for threads in THREADS:
            lanes[f"photos.describe, {threads} threads"] = partial(with_threads, threads, partial(photos.describe, files))
        lanes["and what a run makes of it"] = partial(with_threads, THREADS[-1], partial(describe_jpegs, files, "cpu"))
        size = sum(map(len, files))
        report.time(f"{case}", lanes, work=count, unit="photos", limit=count * moved(size) * 1e9 / size,
                    limit_note="their bytes by C's memmove, measured here")  # fmt: skip


def check_photos(report: Report, case: str, files: list[bytes], first: bytes) -> None:
    from tamis_kernels.device import sent
    from tamis_kernels.jpeg.group import ends, filling

    Array.looked_at = True
    found = sent(sum(map(len, files)), filling(files, ends(files)))
    Array.looked_at = False
    spans = pairwise(accumulate(map(len, files), initial=0))
    report.check(
        f"{case}: files come to lie end to end",
        all(found[start:stop].tobytes() == data for (start, stop), data in zip(spans, files, strict=True)),
    )
    told, whole = photos.describe(files), jpeg.walk(first, backend="cpu")
    report.check(f"{case}: walks are the CPU's but for the picture", told.walks[0][:-2] == whole[:-2] and told.seen.all())


def main() -> None:
    report = Report.from_arguments((__doc__ or "").splitlines()[0])
    bench_copies(report)
    bench_photos(report, without_a_device())


if __name__ == "__main__":
    main()
