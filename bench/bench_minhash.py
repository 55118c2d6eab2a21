"""MinHash signatures: MB/s of text and M elements/s, against the arithmetic limit, a plain loop and datasketch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numba
import numpy as np
import xxhash
from datasketch import MinHash
from harness import Report, fastest
from llvmlite import binding

from tamis_kernels.minhash import permutations, signatures, text_signatures
from tamis_kernels.minhash.cpu import fmix32
from tamis_kernels.ngrams import Unit, hashes
from tamis_kernels.ngrams.cpu import xxh32

if TYPE_CHECKING:
    from harness import Lane
    from numpy.typing import NDArray

SLOTS = 128
VECTOR_OPERATIONS = 3  # per slot and element: multiply, add, minimum
CORES = numba.get_num_threads()


@numba.njit(nogil=True)
def plain_loop(
    data: NDArray[np.uint8], offsets: NDArray[np.int64], a: NDArray[np.uint32], b: NDArray[np.uint32], out: NDArray[np.uint32]
) -> None:
    """Do what one writes first: hash a window, then lower every slot."""
    out[:] = np.uint32(0xFFFFFFFF)
    for row in range(out.shape[0]):
        minima = out[row]
        for start in range(offsets[row], offsets[row + 1] - 4):
            value = fmix32(xxh32(data, start, start + 5))
            for slot in range(minima.size):
                image = np.uint32(np.uint32(a[slot] * value) + b[slot])
                minima[slot] = min(minima[slot], image)


@numba.njit(nogil=True)
def multiply_chain(steps: int, factor: int) -> int:
    value = 1
    for step in range(steps):
        value = value * factor ^ step
    return value


def clock() -> float:
    """Return the core's cycles per second: each step takes three cycles for the multiplication and one for the XOR."""
    multiply_chain(1, 3)
    return 4 * 30_000_000 / fastest(lambda: multiply_chain(30_000_000, 3))


def element_limit() -> tuple[float | None, str]:
    """Return the elements per second of one core if nothing but slot arithmetic took time: two 512-bit operations a cycle."""
    if not binding.get_host_cpu_features().get("avx512f"):
        return None, ""
    cycles = clock()
    note = f"128 slots, {VECTOR_OPERATIONS} operations on 16 lanes, 2 a cycle, {cycles / 1e9:.2f} GHz measured; hashing free"
    return 2 * cycles * 16 / (VECTOR_OPERATIONS * SLOTS), note


def with_threads(threads: int, call: Lane) -> Lane:
    def lane() -> object:
        numba.set_num_threads(threads)
        return call()

    return lane


def texts(megabytes: float) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Return words of 1 to 10 letters with spaces between them, in rows of 1 to 6 kB."""
    generator = np.random.default_rng(1)
    size = int(megabytes * 1e6)
    data = generator.integers(97, 123, size, dtype=np.uint8)
    data[np.cumsum(generator.integers(2, 12, size // 4)).clip(max=size - 1)] = 32
    inner = np.cumsum(generator.integers(1000, 6000, size // 1000))
    return data, np.concatenate(([0], inner[inner < size], [size]))


def of_datasketch(data: NDArray[np.uint8], offsets: NDArray[np.int64]) -> NDArray[np.uint32]:
    raw = data.tobytes()
    rows = []
    for start, stop in zip(offsets[:-1].tolist(), offsets[1:].tolist(), strict=True):
        sketch = MinHash(num_perm=SLOTS, seed=1, hashfunc=xxhash.xxh32_intdigest)
        if stop > start:
            sketch.update_batch([raw[i : i + 5] for i in range(start, max(start + 1, stop - 4))])
        rows.append(sketch.hashvalues)
    return np.array(rows)


def bench_texts(report: Report, limit: float | None, note: str) -> None:
    data, offsets = texts(2 if report.quick else 20)
    megabytes = data.size / 1e6
    a, b = permutations(SLOTS, 1)
    out = np.empty((offsets.size - 1, SLOTS), np.uint32)
    plain_loop(data, offsets, a, b, out)
    report.check(f"{out.shape[0]} byte-5 signatures equal the plain loop", (text_signatures(data, offsets) == out).all())
    few = offsets[: 30 if report.quick else 100]
    report.check(f"{few.size - 1} byte-5 signatures equal datasketch", (text_signatures(data, few) == of_datasketch(data, few)).all())
    byte_limit = limit / 1e6 if limit else None
    lanes: dict[str, Lane] = {
        "tamis, 1 thread": with_threads(1, lambda: text_signatures(data, offsets)),
        "plain Numba loop, 1 thread": lambda: plain_loop(data, offsets, a, b, out),
    }
    report.time("byte-5, k=128", lanes, work=megabytes, unit="MB", limit=byte_limit, limit_note=note)
    everywhere: dict[str, Lane] = {f"tamis, {CORES} threads": with_threads(CORES, lambda: text_signatures(data, offsets))}
    report.time("byte-5, k=128", everywhere, work=megabytes, unit="MB", limit=byte_limit and byte_limit * CORES, limit_note=note)
    against: dict[str, Lane] = {
        "tamis, 1 thread": with_threads(1, lambda: text_signatures(data, few)),
        "datasketch update_batch, xxh32": lambda: of_datasketch(data, few),
    }
    report.time("byte-5, k=128, few rows", against, work=few[-1] / 1e6, unit="MB", runs=5)
    bytes_only: dict[str, Lane] = {"tamis, 1 thread": with_threads(1, lambda: hashes(data, offsets))}
    report.time("byte-5 hashes alone", bytes_only, work=megabytes, unit="MB")
    accented = data.copy()
    accented[::50], accented[1::50] = 0xC3, 0xA9
    shapes: list[tuple[str, NDArray[np.uint8], Unit, int]] = [
        ("word-5", data, "word", 5),
        ("char-5, ASCII", data, "char", 5),
        ("char-5, 2 % é", accented, "char", 5),
        ("char-24, ASCII", data, "char", 24),
    ]
    for name, content, unit, ngram in shapes:

        def call(content: NDArray[np.uint8] = content, unit: Unit = unit, ngram: int = ngram) -> object:
            return text_signatures(content, offsets, unit=unit, ngram=ngram)

        report.time(f"{name}, k=128", {"tamis, 1 thread": with_threads(1, call)}, work=megabytes, unit="MB")


def bench_ready_hashes(report: Report, limit: float | None, note: str) -> None:
    total = 1 << (17 if report.quick else 21)
    elements = np.random.default_rng(2).integers(0, 2**32, total, dtype=np.uint32)
    for size in (16, 64, 256, 1024, 8192):
        offsets = np.arange(0, total + 1, size)
        few = min(50, total // size)

        def of_datasketch_rows(count: int = few, size: int = size) -> list[Any]:
            made = []
            for row in range(count):
                sketch = MinHash(num_perm=SLOTS, seed=1, hashfunc=int)
                sketch.update_batch(elements[row * size : (row + 1) * size].tolist())
                made.append(sketch.hashvalues)
            return made

        def ours(rows: NDArray[np.int64] = offsets) -> object:
            return signatures(elements, rows)

        def ours_few(rows: NDArray[np.int64] = offsets[: few + 1]) -> object:
            return signatures(elements, rows)

        report.check(f"rows of {size} equal datasketch", (signatures(elements, offsets[: few + 1]) == of_datasketch_rows()).all())
        report.time(
            f"rows of {size}", {"tamis, 1 thread": with_threads(1, ours)}, work=total / 1e6, unit="M elements",
            limit=limit and limit / 1e6, limit_note=note,
        )  # fmt: skip
        report.time(
            f"{few} rows of {size}",
            {"tamis, 1 thread": with_threads(1, ours_few), "datasketch update_batch": of_datasketch_rows},
            work=few * size / 1e6,
            unit="M elements",
            runs=5,
        )


def main() -> None:
    report = Report.from_arguments(__doc__ or "")
    limit, note = element_limit()
    bench_texts(report, limit, note)
    bench_ready_hashes(report, limit, note)


if __name__ == "__main__":
    main()
