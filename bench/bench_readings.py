"""Readings of a thousand sensors in files, with faults planted: `tamis.quality_control`, and a whole `tamis clean` with two workers.

Each file holds every so-manieth time of all sensors, which stand in no order, so that each series lies in all files. One reading in a
thousand is an outlier, another is missing, forty of 5,000 stand still, and once in a series the clock jumps. Every flag is compared with
what was planted before a figure is printed.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow.parquet as pq
from bench_flagging import quality_control
from bench_memory import run
from harness import Report
from numpy.typing import NDArray

from tamis_kernels.sensor import TESTS

SENSORS, FILE_ROWS, ROW_GROUP = 1000, 1_000_000, 1 << 17
SECOND, START = 10**9, 1_704_067_200 * 10**9
OUTLIER, MISSING, JUMP = 1000, 1000, 100  # one reading of so many, of so many, and seconds
STILL, STILL_EVERY = 40, 5_000
SOUND, AN_OUTLIER, A_HOLE, STANDS, LATE = range(5)
TOLD = {AN_OUTLIER: ("range", "spike", "hampel"), A_HOLE: ("missing",), STANDS: ("flat",), LATE: ("gap",)}
MOST_FALSE = 1e-3  # of the sound readings: limits are learnt, but for that of standing still, and noise has tails
SETTINGS = (
    "--set", "quality_control.enabled=true",
    "--set", "quality_control.learn=['range','spike','rate','gap']",
    "--set", "quality_control.limits=[{flat=20.0}]",
    "--set", "quality_control.on_flag={range='null',flat='null'}",
    "--set", "normalize.method=zscore",
    "--set", "near_duplicates.enabled=false",
)  # fmt: skip


def mixed(number: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Return random bits that depend on a number alone (splitmix64)."""
    bits = number * np.uint64(0x9E3779B97F4A7C15)
    bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return bits ^ (bits >> np.uint64(31))


def planted(sensor: NDArray[np.int64], place: NDArray[np.int64], length: int) -> NDArray[np.int64]:
    """Return the kind of each reading of a series; faults stand apart."""
    since = place % STILL_EVERY
    kind = np.where((since >= STILL_EVERY - 2 * STILL) & (since < STILL_EVERY - STILL), STANDS, SOUND)
    free = (since >= 60) & (since < STILL_EVERY - 2 * STILL - 60) & (place < length - 60)
    block, within = place // 50, place % 50
    drawn = mixed((sensor * (1 << 32) + block).astype(np.uint64)) % np.uint64(OUTLIER // 50)
    kind = np.where(free & (within == 25) & (drawn == 0), AN_OUTLIER, kind)
    kind = np.where(free & (within == 25) & (drawn == 1), A_HOLE, kind)
    return np.where(place == length // 2 // 50 * 50, LATE, kind)


def readings(sensor: NDArray[np.int64], place: NDArray[np.int64], length: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return times and values, NaN where there is none."""
    kind = planted(sensor, place, length)
    first = np.where(kind == STANDS, place // STILL_EVERY * STILL_EVERY, place)  # all readings of a run are its first
    bits = mixed((sensor * (1 << 32) + first + (1 << 62)).astype(np.uint64))
    noise = sum(((bits >> np.uint64(16 * part)) & np.uint64(0xFFFF)).astype(np.float64) for part in range(4)) / 65536 - 2
    value = np.round(20 + sensor % 10 + noise, 4)
    value = np.where(kind == AN_OUTLIER, value + 50, np.where(kind == A_HOLE, np.nan, value))
    moment = START + place * SECOND + np.where(place >= length // 2 // 50 * 50, JUMP * SECOND, 0)
    return moment, value


def write(folder: Path, millions: int) -> int:
    """Write the files and return how many readings each sensor has."""
    folder.mkdir(parents=True)
    each = FILE_ROWS // SENSORS
    length = each * millions
    for part, number in enumerate(np.random.default_rng(0).permutation(millions)):
        sensor = np.random.default_rng(part).permuted(np.tile(np.arange(SENSORS), (each, 1)), axis=1).reshape(-1)
        place = np.arange(each).repeat(SENSORS) * millions + part
        moment, value = readings(sensor, place, length)
        names = pl.Series([f"s{number:04d}" for number in range(SENSORS)])
        frame = pl.DataFrame(
            {
                "time": pl.Series(moment // 1000).cast(pl.Datetime("us")),
                "sensor": names.gather(sensor),
                "value": pl.Series(value).fill_nan(None),
            }
        )
        frame.write_parquet(folder / f"readings-{number:04d}.parquet", row_group_size=ROW_GROUP, compression_level=1)
    return length


def kinds_of(frame: pl.DataFrame, length: int) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Return sensor, place and kind of readings, by their names and times."""
    sensor = frame["sensor"].cast(pl.String).str.slice(1).cast(pl.Int64).to_numpy()
    seconds = (frame["time"].dt.epoch("ns").to_numpy() - START) // SECOND
    place = np.where(seconds >= length // 2 // 50 * 50 + JUMP, seconds - JUMP, seconds)
    return sensor, place, planted(sensor, place, length)


def check_flags(path: Path, length: int) -> dict[str, Any]:
    """Compare every flag with what was planted; return how many faults there are, how many were told, and false alarms."""
    file = pq.ParquetFile(path)
    planted_of, told_of, false, seen = np.zeros(5, np.int64), np.zeros(5, np.int64), 0, np.zeros(SENSORS * length // 8 + 1, np.uint8)
    wrong = 0
    for group in range(file.num_row_groups):
        frame = pl.DataFrame(file.read_row_group(group, columns=["time", "sensor", "value", "flag", "bits"]))
        sensor, place, kind = kinds_of(frame, length)
        number = sensor * length + place
        np.bitwise_or.at(seen, number >> 3, (1 << (number & 7)).astype(np.uint8))
        value = frame["value"].fill_null(np.nan).to_numpy()
        wrong += int(np.count_nonzero((value != readings(sensor, place, length)[1]) & ~np.isnan(value)))
        bits, flag = frame["bits"].to_numpy(), frame["flag"].to_numpy()
        for one, tests in TOLD.items():
            mask = np.uint32(sum(1 << TESTS.index(test) for test in tests))
            planted_of[one] += np.count_nonzero(kind == one)
            told_of[one] += np.count_nonzero((kind == one) & ((bits & mask) != 0) & (flag >= 3))
        beside = [planted(sensor, np.clip(place + step, 0, length - 1), length) == AN_OUTLIER for step in (-1, 1)]  # these change as fast
        false += int(np.count_nonzero((kind == SOUND) & (flag >= 3) & ~beside[0] & ~beside[1]))
    rows = SENSORS * length
    return {
        "every reading once": file.metadata.num_rows == rows and int(np.bitwise_count(seen).sum()) == rows,
        "values as written": wrong == 0,
        "planted": planted_of.tolist(),
        "told": told_of.tolist(),
        "false": false,
    }


def flagged(report: Report, source: Path, folder: Path, length: int) -> dict[str, Any]:
    """Run and check `tamis.quality_control`."""
    out = folder / "flags.parquet"
    count, seconds, cpu, peak = quality_control(source, out, flat=20.0)
    found = check_flags(out, length)
    names = ("sound", "outliers", "missing", "still", "jumps")
    told = {name: f"{found['told'][kind]} of {found['planted'][kind]}" for kind, name in enumerate(names) if kind != SOUND}
    report.check(f"{count} readings: each has one flag, and its value", found["every reading once"] and found["values as written"])
    all_told = found["told"][1:] == found["planted"][1:]
    report.check(f"faults told: {told}, {found['false']} false alarms", all_told and found["false"] <= MOST_FALSE * count)
    size = out.stat().st_size
    print(
        f"{count:12,d} readings  tamis.quality_control {seconds:7.1f} s, {cpu:7.1f} s of processor time   "
        f"{count / seconds / 1e6:5.2f} M/s, {count / cpu / 1e6:5.2f} a processor second   "
        f"peak {peak / 1e6:4.0f} MB   flags of {size / 1e6:.0f} MB"
    )
    out.unlink()
    return {"lane": "quality_control", "readings": count, "seconds": seconds, "processor_seconds": cpu, "peak": peak, "size": size}


def cleaned(report: Report, source: Path, folder: Path, length: int) -> dict[str, Any]:
    """Run and check `tamis clean`."""
    out = folder / "clean"
    peaks, manifest, seconds = run(source, out, *SETTINGS)
    count = SENSORS * length
    counts: Any = manifest["counts"]
    place = np.arange(length)
    kinds = np.zeros(5, np.int64)
    for sensor in range(SENSORS):
        kinds += np.bincount(planted(np.full(length, sensor), place, length), minlength=5)
    kept = count - int(kinds[A_HOLE])  # a row without a value is rejected
    report.check(f"{count} rows read, {kept} kept", counts["read"] == count and counts["kept"] == kept)
    table, value = pl.scan_parquet(out / "clean" / "tables" / "*" / "*.parquet"), pl.col("value")
    got: Any = (
        table.select(pl.len(), value.null_count().alias("gone"), value.mean().alias("mean"), value.std().alias("std"))
        .collect(engine="streaming")
        .row(0)
    )
    faults = int(kinds[AN_OUTLIER] + kinds[STANDS])
    few = faults <= got[1] <= faults + MOST_FALSE * count
    report.check(f"{got[1]} cells are null, for {faults} planted faults of values", got[0] == kept and few)
    report.check(f"normalised: mean {got[2]:.1e}, deviation {got[3]:.6f}", abs(got[2]) < 1e-6 and abs(got[3] - 1) < 1e-3)
    timing: Any = manifest["timing"]
    stages = ", ".join(f"{name} {spent:.1f}" for name, spent in timing["stages"].items())
    print(
        f"{count:12,d} readings  tamis clean {seconds:7.1f} s   {count / seconds / 1e6:5.2f} M/s   "
        f"first process {peaks.parent / 1e6:4.0f} MB, largest of {len(peaks.workers)} workers {peaks.worker / 1e6:4.0f} MB   {stages}"
    )
    shutil.rmtree(out)
    return {"lane": "clean", "readings": count, "seconds": seconds, "first": peaks.parent, "worker": peaks.worker, **timing["stages"]}


def main() -> None:
    lanes = {"quality_control": flagged, "clean": cleaned}
    report = Report.from_arguments(
        "readings of many sensors",
        millions={"type": int, "nargs": "+", "default": [10]},
        only={"choices": lanes, "nargs": "+", "default": [*lanes]},
    )
    for millions in [1] if report.quick else report.options.millions:
        with tempfile.TemporaryDirectory(prefix="tamis-bench-") as name:
            folder = Path(name)
            length = write(folder / "source", millions)
            for lane in report.options.only:
                report.write(lanes[lane](report, folder / "source", folder, length))


if __name__ == "__main__":
    main()
