"""CUDA kernels against the CPU's on all threads, from host memory to host memory.

bash bench/gpu.sh                                                               # on a GPU: tests, sanitizer, this
NUMBA_ENABLE_CUDASIM=1 NUMBA_DISABLE_JIT=1 python bench/bench_cuda.py --quick   # anywhere, to see that it works; no figures
PYTHONPATH=tests/cuda/emulated_gpu:kernels:engine .venv-cuda/bin/python bench/bench_cuda.py --quick   # the same on compiled kernels
"""

from __future__ import annotations

import sys
import tempfile
from dataclasses import fields, is_dataclass
from functools import partial
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np
from harness import Report, Row
from operations import OPERATIONS

from tamis_kernels import minhash
from tamis_kernels.backend import cuda_problem
from tamis_kernels.compiled import simulated
from tamis_kernels.crossovers import least
from tamis_kernels.measure import equal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness import Lane
    from numpy.typing import NDArray

BYTES = 1 << 28
FEW = 800
"""Bytes that the simulator and the emulator get through."""
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


def compare(report: Report, name: str, speed: float, share: int) -> None:
    """Check that CUDA gives what the CPU gives, then time both; the limit is the bytes in and out at the speed of the link, 0 for none."""
    operation = OPERATIONS[name]
    case = operation.make(np.random.default_rng(1), FEW if pretended() else max(1, operation.most // share))
    found, wanted = (case.told(case.call(backend=backend)) for backend in ("cuda", "cpu"))
    report.check(f"{name}: CUDA equals the CPU", equal(found, wanted, operation.tolerance))
    work = operation.items(case.work)
    report.time(
        name,
        {CUDA: partial(case.call, backend="cuda"), CPU: partial(case.call, backend="cpu")},
        work=work,
        unit=operation.unit,
        limit=work / ((case.work + bytes_of(wanted)) / speed) if speed else None,
        limit_note="bytes in and out over the link, pinned memory",
    )


def bytes_of(result: Any) -> int:
    """Return how many bytes the arrays of a result take."""
    if isinstance(result, tuple | list):
        return sum(map(bytes_of, result))
    if isinstance(result, dict):
        return bytes_of([*result.values()])
    if is_dataclass(result):
        return bytes_of([getattr(result, one.name) for one in fields(result)])
    return int(getattr(result, "nbytes", 0))


def crossover(rows: Sequence[Row]) -> str:
    """Say from which size on CUDA is faster, of those that were tried of an operation."""
    pairs = zip(rows[::2], rows[1::2], strict=True)
    tried = [(ours.work, median(ours.seconds), median(theirs.seconds)) for ours, theirs in pairs]
    first, sizes = least(tried), ", ".join(f"{work:.3g}" for work in sorted(work for work, _, _ in tried))
    said = "the CPU is faster" if first is None else f"CUDA is faster from {first:.3g} {rows[0].unit} on"
    return f"crossover: {rows[0].case}: {said} (of {sizes})"


def bench_datasketch(report: Report) -> None:
    """Compare with datasketch's MinHash in its GPU mode, which sends the hashes of one row at a time through CuPy."""
    if pretended():
        print("no lane of datasketch: its GPU mode needs CuPy and a GPU")
        return
    try:
        from datasketch import MinHash

        new = partial(MinHash, num_perm=128, seed=1, hashfunc=int, gpu_mode="always")
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


def main() -> None:
    if problem := cuda_problem():
        sys.exit(f"CUDA cannot run here: {problem}")
    report = Report.from_arguments((__doc__ or "").splitlines()[0])
    speed = link(report)
    for name in OPERATIONS:
        done = len(report.rows)
        for share in (100,) if report.quick else SHARES:
            compare(report, name, speed, share)
        print(crossover(report.rows[done:]))
    bench_datasketch(report)
    bench_run(report)


if __name__ == "__main__":
    main()
