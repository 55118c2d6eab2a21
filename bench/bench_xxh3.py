"""XXH3 of 128 bits of many short records, and digests of the rows of a table, against the library, polars and a copy."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import xxhash
from harness import Report, fastest
from numba import set_num_threads

from tamis.checks.exact_duplicates.digests import row_digests
from tamis_kernels.xxh3 import hash128

if TYPE_CHECKING:
    from numpy.typing import NDArray

WIDTHS = (8, 16, 56, 120, 240, 1000)
CHECKED = 2_000


def copied(data: NDArray[np.uint8]) -> float:
    """Return the GB read a second by the fastest of five copies."""
    target = np.empty_like(data)
    return data.size / fastest(lambda: np.copyto(target, data)) / 1e9


def bench_records(report: Report, width: int) -> None:
    rows = (2_000_000 if report.quick else 32_000_000) // width
    data = np.random.default_rng(width).integers(0, 256, rows * width, dtype=np.uint8)
    offsets = np.arange(rows + 1) * width
    records = [record.tobytes() for record in data.reshape(-1, width)[:CHECKED]]
    wanted = [divmod(xxhash.xxh3_128_intdigest(record), 2**64) for record in records]
    found = hash128(data[: CHECKED * width], offsets[: CHECKED + 1])
    report.check(f"{CHECKED} records of {width} bytes: the bits of xxhash", [tuple(row) for row in found.tolist()] == wanted)
    every = [record.tobytes() for record in data.reshape(-1, width)]
    set_num_threads(1)
    report.time(
        f"{rows} records of {width} bytes",
        {
            "tamis hash128, one thread": lambda: hash128(data, offsets),
            "xxhash, a call a record": lambda: b"".join(map(xxhash.xxh3_128_digest, every)),
        },
        work=data.size / 1e9,
        unit="GB",
        limit=copied(data),
        limit_note="a copy of the same bytes, measured here",
        runs=5,
    )


def readings(rows: int) -> pl.DataFrame:
    """Return a table of a time, a name and four floats with gaps."""
    generator = np.random.default_rng(1)
    values = generator.normal(20, 5, (rows, 4)).round(3)
    values[generator.random(values.shape) < 0.01] = np.nan
    return pl.DataFrame(
        {
            "time": pl.Series(np.arange(rows) * 1_000_000).cast(pl.Datetime("us")),
            "sensor": pl.Series(np.arange(rows) % 50).cast(pl.String).str.pad_start(6, "s"),
            **{f"value_{at}": pl.Series(values[:, at]).fill_nan(None) for at in range(4)},
        }
    )


def bench_rows(report: Report) -> None:
    frame = readings(100_000 if report.quick else 1_000_000)
    digests = row_digests(frame.get_columns())
    distinct = len({*map(tuple, digests[:50_000].tolist())})
    report.check("rows have as many digests as polars finds distinct rows", distinct == frame[:50_000].n_unique())
    report.time(
        f"{frame.height} rows of six columns",
        {
            "tamis row_digests, 128 bits, one thread": lambda: row_digests(frame.get_columns()),
            "polars hash_rows, 64 bits, all threads": lambda: frame.hash_rows(),
        },
        work=frame.height / 1e6,
        unit="M rows",
        runs=5,
    )


def main() -> None:
    report = Report.from_arguments(__doc__ or "")
    for width in WIDTHS:
        bench_records(report, width)
    bench_rows(report)


if __name__ == "__main__":
    main()
