"""From signatures to clusters: band keys, grouping, union-find, exact Jaccard, and `near_duplicates` from texts to keepers."""

from __future__ import annotations

from functools import cache, partial
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import xxhash
from datasketch import MinHash, MinHashLSH
from harness import Report, fastest
from scipy.sparse import coo_array  # type: ignore[import-untyped]
from scipy.sparse.csgraph import connected_components  # type: ignore[import-untyped]

from tamis.near.deduplicate import near_duplicates
from tamis_kernels import bands, components, groups, jaccard
from tamis_kernels.components import reference as plain

if TYPE_CHECKING:
    from harness import Lane
    from numpy.typing import NDArray

    from tamis_kernels.types import Int64s


def bench_sort(report: Report) -> None:
    generator = np.random.default_rng(1)
    n = 200_000 if report.quick else 4_000_000
    keys = generator.integers(0, 2**64 - 1, n, dtype=np.uint64, endpoint=True)
    keys[generator.integers(0, n, n // 4)] = keys[0]
    expected = np.argsort(keys, kind="stable")
    report.check(f"order of {n} keys equals numpy's stable argsort", (groups.sort_by_key(keys)[0] == expected).all())
    report.time(
        f"group {n} keys",
        {
            "tamis radix sort and runs": lambda: groups.sort_by_key(keys),
            "numpy argsort, stable": lambda: np.argsort(keys, kind="stable"),
            "numpy argsort, quick": lambda: np.argsort(keys),
            "numpy unique with inverse": lambda: np.unique(keys, return_inverse=True),
        },
        work=n / 1e6,
        unit="M keys",
        limit=copied_bytes_per_second(n) / (8 * 24) / 1e6,
        limit_note="8 passes, 24 bytes each, at the speed of a plain copy measured here",
        runs=5,
    )


def copied_bytes_per_second(n: int) -> float:
    """Return the bytes read and written per second by a copy of the same size."""
    source, target = np.ones(n, np.uint64), np.empty(n, np.uint64)
    return 16 * n / fastest(lambda: np.copyto(target, source), 7)


def bench_components(report: Report) -> None:
    n = 100_000 if report.quick else 5_000_000
    generator = np.random.default_rng(2)
    left, right = generator.integers(0, n, (2, n))
    some = slice(0, 20_000)
    ours, theirs = np.arange(n), np.arange(n)
    components.union(ours, left[some], right[some])
    plain.union(theirs, left[some], right[some])
    report.check("roots equal the plain union-find", (components.roots(ours) == components.roots(theirs)).all())

    def tamis() -> Int64s:
        parent = np.arange(n)
        components.union(parent, left, right)
        return components.roots(parent)

    _, labels = connected_components(edges := coo_array((np.ones(n, np.bool_), (left, right)), (n, n)), directed=False)
    roots = tamis()
    report.check(
        "records have one root where SciPy says that they are connected",
        len(np.unique(np.stack([roots, labels]), axis=1).T) == len(set(roots.tolist())) == labels.max() + 1,
    )
    report.time(
        f"{n} random edges",
        {
            "tamis union and roots": tamis,
            "SciPy connected_components": lambda: connected_components(edges, directed=False),
        },
        work=n / 1e6,
        unit="M edges",
        limit=n / 1e6 / fastest(lambda: (roots[left], roots[right]), 5),
        limit_note="NumPy gathers the parents of both ends, once",
        runs=5,
    )


def bench_keys_and_pairs(report: Report) -> None:
    generator = np.random.default_rng(3)
    n = 5_000 if report.quick else 100_000
    table = generator.integers(0, 2**32, (n, 128), dtype=np.uint32)
    expected = bands.keys(table[:20], bands=16, rows=8, backend="reference")
    report.check("band keys equal the reference", (bands.keys(table[:20], bands=16, rows=8) == expected).all())
    report.time(
        f"16 x 8 band keys of {n} rows",
        {"tamis": lambda: bands.keys(table, bands=16, rows=8)},
        work=n / 1e6,
        unit="M rows",
        limit=copied_bytes_per_second(table.size // 2) / (table[0].nbytes + 16 * 8) / 1e6,
        limit_note="the slots read and the keys written at the speed of a plain copy measured here",
    )
    size = 500
    hashes = generator.integers(0, 5_000, (n // 10) * size).astype(np.uint32)
    sets, offsets = jaccard.sorted_sets(hashes, np.arange(0, hashes.size + 1, size))
    left, right = generator.integers(0, n // 10, (2, n))
    found = jaccard.pairs(sets, offsets, left, right)

    def by_numpy(count: int) -> list[float]:
        similarities = []
        for one, other in zip(left[:count], right[:count], strict=True):
            a, b = sets[offsets[one] : offsets[one + 1]], sets[offsets[other] : offsets[other + 1]]
            shared = np.intersect1d(a, b, assume_unique=True).size
            similarities.append(shared / (a.size + b.size - shared))
        return similarities

    few = 1000
    report.check(f"{few} similarities equal numpy's set operations", found[:few].tolist() == by_numpy(few))
    report.time(
        f"Jaccard of {few} pairs of {size}",
        {
            "tamis": lambda: jaccard.pairs(sets, offsets, left[:few], right[:few]),
            "numpy intersect1d": lambda: by_numpy(few),
        },
        work=few / 1e3,
        unit="k pairs",
        runs=5,
    )


@cache
def documents(count: int) -> tuple[str, ...]:
    """Return texts of 50 to 400 words, and for every tenth a copy with one word added."""
    generator = np.random.default_rng(4)
    vocabulary = np.array([f"w{i:x}" for i in range(20_000)])
    originals = [vocabulary[generator.integers(0, 20_000, size)] for size in generator.integers(50, 400, count)]
    copies = [np.append(words, "added") for words in originals[::10]]
    return tuple(" ".join(words) for words in originals + copies)


def by_datasketch(texts: tuple[str, ...]) -> list[bool]:
    """Keep a text unless the index holds a candidate for it: unverified, as the library's users mostly do it."""
    index = MinHashLSH(num_perm=128, params=bands.optimal(0.8, 128, 0.05, 0.95))
    keeps = []
    for number, text in enumerate(texts):
        words = text.split()
        sketch = MinHash(num_perm=128, hashfunc=xxhash.xxh32_intdigest)
        sketch.update_batch([" ".join(words[i : i + 5]).encode() for i in range(max(1, len(words) - 4))])
        found = index.query(sketch)
        keeps.append(not found)
        if not found:
            index.insert(number, sketch)
    return keeps


def bench_end_to_end(report: Report) -> None:
    for count in (300,) if report.quick else (2_000, 40_000):
        texts = documents(count)
        frame = pl.DataFrame({"text": texts})
        keeper: NDArray[np.bool_] = near_duplicates(frame)["keeper"].to_numpy()
        report.check(f"all {len(texts) - count} planted copies go, nothing else", keeper[:count].all() and not keeper[count:].any())
        lanes: dict[str, Lane] = {
            "tamis, verified": partial(near_duplicates, frame),
            "tamis, unverified": partial(near_duplicates, frame, verify="none"),
        }
        if count <= 2_000:
            report.check("datasketch keeps the same texts", by_datasketch(texts) == keeper.tolist())
            lanes["datasketch LSH, unverified"] = partial(by_datasketch, texts)
        megabytes = sum(map(len, texts)) / 1e6
        report.time(f"{len(texts)} texts, {megabytes:.0f} MB", lanes, work=len(texts), unit="texts", runs=5)


def main() -> None:
    report = Report.from_arguments(__doc__ or "")
    bench_sort(report)
    bench_components(report)
    bench_keys_and_pairs(report)
    bench_end_to_end(report)


if __name__ == "__main__":
    main()
