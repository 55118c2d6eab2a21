"""One lane of `bench_peers.py`, run in the peer's own environment: prints the CPU seconds of each run as JSON, the first one warming up.

python bench/peer_lane.py LANE FOLDER RUNS
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from time import process_time
from typing import Any

import numpy as np

SLOTS = 128
WORDS = 5
BANDS, ROWS = 16, 8


def flat(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    return np.load(folder / "tokens.npy"), np.load(folder / "offsets.npy")


def lists(folder: Path) -> list[list[str]]:
    return [line.split(" ") for line in texts(folder)]


def texts(folder: Path) -> list[str]:
    return (folder / "texts.txt").read_text(encoding="utf-8").splitlines()


def shingles(text: str) -> list[str]:
    words = text.split()
    return [" ".join(words[i : i + WORDS]) for i in range(max(1, len(words) - WORDS + 1))]


def rensa_hashed(folder: Path) -> Callable[[], object]:
    from rensa import RMinHash

    tokens, offsets = flat(folder)
    return lambda: RMinHash.digest_matrix_from_flat_token_hashes(tokens, offsets.astype(np.uint64), SLOTS, 1)


def fastsketchlsh_hashed(folder: Path) -> Callable[[], object]:
    from FastSketchLSH import FastSimilaritySketch

    tokens, offsets = flat(folder)
    sketch = FastSimilaritySketch(SLOTS, 1)
    return lambda: sketch.batch_csr(tokens, offsets.astype(np.uint64), prehashed=True, num_threads=1)


def rensa_lists(folder: Path) -> Callable[[], object]:
    from rensa import RMinHash

    rows = lists(folder)

    def run() -> None:
        for row in rows:
            RMinHash(SLOTS, 1).update(row)

    return run


def fastsketchlsh_lists(folder: Path) -> Callable[[], object]:
    from FastSketchLSH import FastSimilaritySketch

    rows, sketch = lists(folder), FastSimilaritySketch(SLOTS, 1)
    return lambda: sketch.batch(rows, num_threads=1)


def daft_raw(folder: Path) -> Callable[[], object]:
    import daft

    frame = daft.from_pydict({"text": texts(folder)}).collect()
    return lambda: frame.select(daft.col("text").minhash(num_hashes=SLOTS, ngram_size=WORDS, hash_function="xxhash64")).collect()


def gaoya_clusters(folder: Path) -> Callable[[], object]:
    from gaoya.minhash import MinHashStringIndex

    rows = texts(folder)

    def run() -> None:
        index = MinHashStringIndex(32, 0.8, BANDS, ROWS, None, "word", False, (WORDS, WORDS))
        for number, row in enumerate(rows):
            if not index.query(row):
                index.insert_document(number, row)

    return run


def rensa_clusters(folder: Path) -> Callable[[], object]:
    from rensa import RMinHash, RMinHashLSH

    rows = texts(folder)

    def run() -> None:
        index = RMinHashLSH(0.8, SLOTS, BANDS)
        for number, row in enumerate(rows):
            sketch = RMinHash(SLOTS, 1)
            sketch.update(shingles(row))
            if not index.query(sketch):
                index.insert(number, sketch)

    return run


def datasketch_clusters(folder: Path) -> Callable[[], object]:
    import xxhash
    from datasketch import MinHash, MinHashLSH

    rows = texts(folder)

    def run() -> None:
        index = MinHashLSH(num_perm=SLOTS, params=(BANDS, ROWS))
        for number, row in enumerate(rows):
            sketch = MinHash(SLOTS, hashfunc=xxhash.xxh32_intdigest)
            sketch.update_batch([shingle.encode() for shingle in shingles(row)])
            if not index.query(sketch):
                index.insert(number, sketch)

    return run


def tamis_fss_hashed(folder: Path) -> Callable[[], object]:
    from tamis_kernels import fss

    tokens, offsets = flat(folder)
    return lambda: fss.signatures(tokens, offsets, num_perm=SLOTS)


def tamis_affine32_hashed(folder: Path) -> Callable[[], object]:
    from tamis_kernels import minhash

    tokens, offsets = flat(folder)
    narrow = tokens.astype(np.uint32)
    return lambda: minhash.signatures(narrow, offsets, num_perm=SLOTS)


def tamis_lists(folder: Path) -> Callable[[], object]:
    import pyarrow as pa

    from tamis_kernels import fss

    rows = pa.array(lists(folder))  # lists of strings in one Arrow array, as a Parquet file gives them

    def run() -> object:
        _, bounds, _, offsets, data = rows.buffers()
        ends = np.frombuffer(offsets, np.int32)[: len(rows.values) + 1]
        tokens, starts = np.frombuffer(data, np.uint8), np.frombuffer(bounds, np.int32)[: len(rows) + 1]
        return fss.token_signatures(tokens, ends, starts, num_perm=SLOTS)

    return run


def tamis_raw(folder: Path) -> Callable[[], object]:
    import polars as pl

    from tamis.near.signatures import signatures

    series = pl.Series(texts(folder))
    return lambda: signatures(series, unit="word", ngram=WORDS, num_perm=SLOTS)


def tamis_raw_affine32(folder: Path) -> Callable[[], object]:
    import polars as pl

    from tamis.near.signatures import signatures

    series = pl.Series(texts(folder))
    return lambda: signatures(series, "affine32", unit="word", ngram=WORDS, num_perm=SLOTS)


def tamis_clusters(folder: Path) -> Callable[[], object]:
    import polars as pl

    from tamis.near.deduplicate import near_duplicates

    frame = pl.DataFrame({"text": texts(folder)})
    return lambda: near_duplicates(frame, unit="word", ngram=WORDS, bands=(BANDS, ROWS))


def tamis_clusters_unverified(folder: Path) -> Callable[[], object]:
    import polars as pl

    from tamis.near.deduplicate import near_duplicates

    frame = pl.DataFrame({"text": texts(folder)})
    return lambda: near_duplicates(frame, unit="word", ngram=WORDS, bands=(BANDS, ROWS), verify="none", normalise=False)


def series(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    return np.load(folder / "time.npy"), np.load(folder / "value.npy")


def ioos_four(folder: Path) -> Callable[[], object]:
    from ioos_qc import qartod

    time, value = series(folder)
    clock = time.view("datetime64[ns]")

    def run() -> None:
        qartod.gross_range_test(value, fail_span=[0, 40], suspect_span=[10, 30])
        qartod.spike_test(value, suspect_threshold=5, fail_threshold=9)
        qartod.rate_of_change_test(value, clock, threshold=5.0, fail_threshold=9.0)
        qartod.flat_line_test(value, clock, suspect_threshold=60, fail_threshold=600, tolerance=0.01)

    return run


def ioos_flags(folder: Path) -> Callable[[], object]:
    """Write the flags of cases that are given in files, or the error that a case raises, for evaluate_qc_peers.py."""
    from ioos_qc import qartod

    def run() -> None:
        flags: dict[str, np.ndarray] = {}
        errors = {}
        for number, (function, arguments) in enumerate(json.loads((folder / "cases.json").read_text())):
            given = np.load(folder / f"{number}.npz")
            clock = given["time"].view("datetime64[ns]")
            names = {"gross_range_test": ["value"], "spike_test": ["value"], "time_gap_test": ["clock"]}.get(function, ["value", "clock"])
            try:
                found = getattr(qartod, function)(*({"value": given["value"], "clock": clock}[name] for name in names), **arguments)
                flags[str(number)] = np.ma.getdata(found).astype(np.uint8)
            except (ArithmeticError, ValueError, IndexError) as error:
                errors[str(number)] = f"{type(error).__name__}: {error}"
        np.savez(folder / "flags.npz", **flags)  # type: ignore[arg-type]  # its stub takes the names for those of its options
        (folder / "errors.json").write_text(json.dumps(errors))

    return run


def hampel_package(folder: Path) -> Callable[[], object]:
    from hampel import hampel

    value = series(folder)[1]
    np.save(folder / "outliers.npy", hampel(value, window_size=21, n_sigma=3.0).outlier_indices)
    return lambda: hampel(value, window_size=21, n_sigma=3.0)


def hampel_pandas(folder: Path) -> Callable[[], object]:
    import pandas as pd

    value = pd.Series(series(folder)[1])

    def run() -> object:
        distance = (value - value.rolling(21, center=True).median()).abs()
        return distance > 3 * 1.4826 * distance.rolling(21, center=True).median()

    return run


def hampel_bottleneck(folder: Path) -> Callable[[], object]:
    import bottleneck

    value = series(folder)[1]

    def run() -> object:
        distance = np.abs(value[10:-10] - bottleneck.move_median(value, 21)[20:])
        return distance[10:-10] > 3 * 1.4826 * bottleneck.move_median(distance, 21)[20:]

    return run


def tamis_four(folder: Path) -> Callable[[], object]:
    from tamis_kernels.sensor import Limits, quality

    time, value = series(folder)
    spans = Limits(fail_span=(0.0, 40.0), suspect_span=(10.0, 30.0), spike=(5.0, 9.0), rate=(5.0, 9.0))
    limits = replace(spans, flat=(60 * 10**9, 600 * 10**9), flat_tolerance=0.01)
    return lambda: quality(time, value, limits)


def tamis_hampel(folder: Path) -> Callable[[], object]:
    from tamis_kernels.sensor import hampel

    value = series(folder)[1]
    return lambda: hampel(value, window=21)


def hashes(folder: Path) -> tuple[np.ndarray, int]:
    return np.load(folder / "hashes.npy"), int((folder / "limit.txt").read_text())


def pairs_of(folder: Path, lane: str, search: Callable[[], tuple[np.ndarray, np.ndarray]]) -> Callable[[], object]:
    """Return a search for pairs of rows, each told both ways or one, and write down once what it finds."""
    ends = np.stack(search())
    ends = ends[:, ends[0] != ends[1]]
    np.save(folder / f"{lane}.npy", np.unique(np.sort(ends, axis=0), axis=1))
    return search


def tamis_pairs(folder: Path, method: str = "auto") -> Callable[[], object]:
    from tamis_kernels import hamming

    rows, limit = hashes(folder)

    def run() -> tuple[np.ndarray, np.ndarray]:
        left, right, _ = hamming.pairs(rows, limit, method=method, backend="cpu")  # type: ignore[arg-type]  # one of its methods
        return left, right

    return pairs_of(folder, f"tamis_{method}", run)


def tamis_all(folder: Path) -> Callable[[], object]:
    return tamis_pairs(folder, "all")


def tamis_auto(folder: Path) -> Callable[[], object]:
    return tamis_pairs(folder, "auto")


def faiss_pairs(folder: Path, lane: str, make: Callable[[int], Any], neighbours: int = 0) -> Callable[[], object]:
    """Build an index of all hashes and ask it for each: for what is in range, or for the nearest so many."""
    words, limit = hashes(folder)
    codes = words.view(np.uint8)

    def run() -> tuple[np.ndarray, np.ndarray]:
        index = make(codes.shape[1] * 8)
        index.add(codes)
        if neighbours:
            distance, found = index.search(codes, neighbours)
            return np.nonzero(distance <= limit)[0], found[distance <= limit]
        starts, _, found = index.range_search(codes, limit + 1)  # it tells what is nearer than its radius
        return np.repeat(np.arange(len(codes)), np.diff(starts.astype(np.int64))), found

    return pairs_of(folder, lane, run)


def faiss_flat(folder: Path) -> Callable[[], object]:
    import faiss

    return faiss_pairs(folder, "faiss_flat", faiss.IndexBinaryFlat)


def faiss_multihash(folder: Path) -> Callable[[], object]:
    """Bands of 16 bits and as many bits turned over as the pigeonhole asks for, so that no pair is missed."""
    import faiss

    limit = hashes(folder)[1]

    def make(bits: int) -> Any:
        index = faiss.IndexBinaryMultiHash(bits, bits // 16, 16)
        index.nflip = limit // (bits // 16)
        return index

    return faiss_pairs(folder, "faiss_multihash", make)


def faiss_hnsw(folder: Path) -> Callable[[], object]:
    import faiss

    return faiss_pairs(folder, "faiss_hnsw", lambda bits: faiss.IndexBinaryHNSW(bits, 16), neighbours=8)


def main() -> None:
    lane, folder, runs = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
    work = globals()[lane](folder)
    taken = []
    for _ in range(runs + 1):
        start = process_time()
        work()
        taken.append(process_time() - start)
    print(json.dumps(taken))


if __name__ == "__main__":
    main()
