"""One lane of `bench_peers.py`, run in the peer's own environment: prints the CPU seconds of each run as JSON, the first one warming up.

python bench/peer_lane.py LANE FOLDER RUNS
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from time import process_time

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

    from tamis.texts import signatures

    series = pl.Series(texts(folder))
    return lambda: signatures(series, unit="word", ngram=WORDS, num_perm=SLOTS)


def tamis_raw_affine32(folder: Path) -> Callable[[], object]:
    import polars as pl

    from tamis.texts import signatures

    series = pl.Series(texts(folder))
    return lambda: signatures(series, "affine32", unit="word", ngram=WORDS, num_perm=SLOTS)


def tamis_clusters(folder: Path) -> Callable[[], object]:
    import polars as pl

    from tamis.deduplicate import near_duplicates

    frame = pl.DataFrame({"text": texts(folder)})
    return lambda: near_duplicates(frame, unit="word", ngram=WORDS, bands=(BANDS, ROWS))


def tamis_clusters_unverified(folder: Path) -> Callable[[], object]:
    import polars as pl

    from tamis.deduplicate import near_duplicates

    frame = pl.DataFrame({"text": texts(folder)})
    return lambda: near_duplicates(frame, unit="word", ngram=WORDS, bands=(BANDS, ROWS), verify="none", normalise=False)


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
