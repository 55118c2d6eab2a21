"""`tamis.quality_control` on a Parquet file and on five times that file: readings a second in one process, and its peak of memory.

The claim is at most 400 MB for any size. The flags go to a file; limits are learnt.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow.parquet as pq
from harness import Report

READINGS, QUICK = 2_000_000, 100_000
GROWTH, SENSORS, CLAIM = 5, 20, 400
ROW_GROUP = 1 << 17
CHILD = """
import json, resource, sys, time
import tamis
start = time.perf_counter()
found = tamis.quality_control(sys.argv[1], out=sys.argv[2], limits=json.loads(sys.argv[3]))
seconds, cpu = time.perf_counter() - start, time.process_time()
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
print(json.dumps([int(found.summary["readings"].sum()), seconds, cpu, peak]))
"""


def quality_control(source: Path, flags: Path, **limits: float) -> tuple[int, float, float, int]:
    """Run `tamis.quality_control` in a process of its own: return the readings, seconds, those of the processor, and the peak in bytes."""
    command = [sys.executable, "-c", CHILD, str(source), str(flags), json.dumps(limits or [])]
    readings, seconds, cpu, peak = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return readings, seconds, cpu, peak


def write(path: Path, readings: int) -> None:
    """Write readings of some sensors, by time."""
    rng = np.random.default_rng(1)
    writer = None
    for start in range(0, readings, ROW_GROUP):
        row = np.arange(start, min(readings, start + ROW_GROUP))
        time = pl.Series("time", row // SENSORS * 1_000_000).cast(pl.Datetime("us"))
        sensor, value = pl.Series("sensor", row % SENSORS).cast(pl.String), pl.Series("value", np.round(rng.normal(size=len(row)), 2))
        table = pl.DataFrame([time, sensor, value]).to_arrow()
        writer = writer or pq.ParquetWriter(path, table.schema)
        writer.write_table(table)
    assert writer is not None
    writer.close()


def main() -> None:
    report = Report.from_arguments("quality control of a file of any size")
    base = QUICK if report.quick else READINGS
    with tempfile.TemporaryDirectory(prefix="tamis-bench-") as folder:
        for count in (base, GROWTH * base):
            source, flags = Path(folder, "readings.parquet"), Path(folder, "flags.parquet")
            write(source, count)
            readings, seconds, _, peak = quality_control(source, flags)
            report.check(f"{count} readings: each has a flag", readings == count == pq.read_metadata(flags).num_rows)
            rate, verdict = count / seconds / 1e6, "holds" if peak <= CLAIM * 1_000_000 else "does NOT hold"
            print(f"{count:11,d} readings {seconds:7.1f} s {rate:6.2f} M/s   peak {peak / 1e6:4.0f} MB   {CLAIM} MB {verdict}")


if __name__ == "__main__":
    main()
