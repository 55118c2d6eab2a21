"""Time and memory of `near_duplicates` by the number of records: streamed sets of 100 tokens, a tenth of them near-copies, on a budget.

The records are made on the way, batch by batch, so that neither a disk nor a file format is measured. Each size runs in a process of its
own, whose greatest resident memory is told, with and without what Python, polars and the kernels take at rest.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from time import perf_counter

import numpy as np
import polars as pl
from harness import Report

from tamis.near.deduplicate import near_duplicates

TOKENS = 100
BATCH = 1 << 16
BUDGET = "2GB"
SIZES = (100_000, 1_000_000, 10_000_000, 20_000_000)


def records(count: int) -> pl.LazyFrame:
    """Return sets of 100 random tokens; every tenth record is the one before it with five tokens changed, a similarity of 0.9."""
    dtype = pl.Array(pl.UInt32, TOKENS)

    def batches(_columns: object, _predicate: object, rows: int | None, _size: object) -> Iterator[pl.DataFrame]:
        for start in range(0, min(count, rows or count), BATCH):
            random = np.random.default_rng(start)
            tokens = random.integers(0, 2**32, (min(BATCH, count - start), TOKENS), np.uint32)
            copies = np.arange(9, len(tokens), 10)
            tokens[copies, 5:] = tokens[copies - 1, 5:]
            yield pl.DataFrame({"tokens": pl.Series(tokens, dtype=dtype)})

    return pl.io.plugins.register_io_source(batches, schema={"tokens": dtype})


def peak() -> float:
    """Return the greatest resident memory of this process so far, in MB (10^6 bytes)."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6


def measure(count: int) -> None:
    """Print what one size costs, as JSON."""
    near_duplicates(records(2_000), "tokens")  # compiles
    rest = peak()
    start = perf_counter()
    result = near_duplicates(records(count), "tokens", memory=BUDGET)
    seconds = perf_counter() - start
    wanted = sum(max(0, (min(BATCH, count - first) - 9 + 9) // 10) for first in range(0, count, BATCH))
    dropped = int((~result["keeper"]).sum())
    exact = bool((result.filter(~pl.col("keeper"))["similarity"] > 0.9).all())
    print(
        json.dumps({"count": count, "seconds": seconds, "peak": peak(), "rest": rest, "dropped": dropped, "wanted": wanted, "exact": exact})
    )


def main() -> None:
    if len(sys.argv) == 3 and sys.argv[1] == "--count":
        measure(int(sys.argv[2]))
        return
    report = Report.from_arguments(__doc__ or "")
    told = []
    for count in (2_000, 20_000) if report.quick else SIZES:
        done = subprocess.run([sys.executable, str(Path(__file__)), "--count", str(count)], capture_output=True, text=True, check=True)
        one = json.loads(done.stdout.splitlines()[-1])
        report.check(
            f"{one['dropped']} of {one['wanted']} near-copies go, {one['exact']}: verified above 0.9",
            one["exact"] and 0.99 * one["wanted"] <= one["dropped"] <= one["wanted"],
        )
        print(
            f"{count:>11,} records  {one['seconds']:8.1f} s  {count / one['seconds'] / 1e3:8.1f} k records/s  "
            f"peak {one['peak']:7.0f} MB, {one['peak'] - one['rest']:7.0f} MB above rest; budget {BUDGET}"
        )
        told.append(one)
        report.write(one)
    slope = (
        np.polyfit(np.log([one["count"] for one in told[1:]]), np.log([one["seconds"] for one in told[1:]]), 1)[0] if told[2:] else np.nan
    )
    print(f"time grows with the number of records to the power {slope:.2f}; 1.00 is linear")


if __name__ == "__main__":
    main()
