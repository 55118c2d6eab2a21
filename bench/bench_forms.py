"""Tables of readings written as they are, long and wide: seconds and peak memory, of a corpus and of twenty times that corpus.

Sixteen sensors of four channels; the rows of every file are shuffled, and every file spans all times, which is the hardest case of the
wide form: each of its parts is made of rows of all shards. Each result is checked against the frames that were written.
"""

from __future__ import annotations

import shutil
import tempfile
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from bench_memory import run
from harness import Report

FILE_ROWS = 250_000
SENSORS = 16
CHANNELS = ("temperature", "pressure", "humidity", "wind")
SETTINGS = ("--set", "near_duplicates.enabled=false")


def readings(part: int, parts: int) -> pl.DataFrame:
    """Return one of so many files: every so-manieth time, all sensors, in no order."""
    random = np.random.default_rng(part)
    times = FILE_ROWS // SENSORS
    moment = (np.arange(times) * parts + part).repeat(SENSORS) * 1_000_000 + int(datetime(2024, 1, 1).timestamp() * 1e6)
    values = {name: np.round(random.normal(size=times * SENSORS), 3) for name in CHANNELS}
    sensor = np.char.add("s", np.tile(np.arange(SENSORS), times).astype(str))
    frame = pl.DataFrame({"time": pl.Series(moment).cast(pl.Datetime("us")), "sensor": sensor, **values})
    return frame.sample(fraction=1.0, shuffle=True, seed=part)


def sound(out: Path, form: str, rows: int, total: float) -> bool:
    """Whether all readings were written, by number and by sum."""
    table = pl.scan_parquet(out / "clean" / "tables" / "*" / "*.parquet")
    found: Any = table.select(pl.len(), pl.sum_horizontal(pl.selectors.numeric().sum())).collect(engine="streaming").row(0)
    expected = {"same": rows, "long": rows * len(CHANNELS), "wide": rows // SENSORS}[form]
    return bool(found[0] == expected and abs(found[1] - total) < 1e-3)


def main() -> None:
    report = Report.from_arguments("forms of tables of readings")
    with tempfile.TemporaryDirectory(prefix="tamis-bench-") as temporary:
        for parts in (1, 2) if report.quick else (2, 10, 40):
            source = Path(temporary, f"in-{parts}")
            source.mkdir()
            rows, total = 0, 0.0
            for part in range(parts):
                frame = readings(part, parts)
                frame.write_parquet(source / f"readings-{part:03d}.parquet", row_group_size=65_536)
                rows += len(frame)
                total += float(frame.select(pl.sum_horizontal(pl.col(CHANNELS).sum())).item())
            for form in ("same", "long", "wide"):
                out = Path(temporary, form)
                peaks, manifest, seconds = run(source, out, "--set", f"output.tables={form}", *SETTINGS)
                timing: Any = manifest["timing"]
                apply = timing["stages"]["apply"]
                report.check(f"{rows} rows, {form}: every reading is there", sound(out, form, rows, total))
                size = sum(path.stat().st_size for path in (out / "clean").rglob("*.parquet"))
                print(
                    f"{rows:10d} rows  {form:5s} {seconds:7.1f} s, of which apply {apply:7.1f}   written {size / 1e6:7.1f} MB   "
                    f"first process {peaks.parent / 1e6:5.0f} MB, largest worker {peaks.worker / 1e6:5.0f} MB"
                )
                shutil.rmtree(out)
            shutil.rmtree(source)


if __name__ == "__main__":
    main()
