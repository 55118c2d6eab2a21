"""Discovery on planted faults with exact truth: recall, right answers and false alarms per kind.

    .venv/bin/python bench/evaluate_discovery.py [--first 1000] [--seeds 210] [--data DATA]

Limits were chosen while looking at seeds 0 to 99; the seeds here begin at 1000. Each seed plants each fault once, in one of seven
quantities (3,000 rows; hourly for summer time 9,000; five sensors for faults that peers show). `others` counts suspicions of other kinds,
or of other sensors, which are false alarms too, but for what a fault truly brings about. With DATA, the real series in its `sensors/` are
searched, and every suspicion is printed.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter, defaultdict
from pathlib import Path

import polars as pl
from evaluate_common import Table, share

sys.path.append(str(Path(__file__).parents[1] / "tests"))

import tamis
from planted import Trial, trials


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--first", type=int, default=1000)
    parser.add_argument("--seeds", type=int, default=210)
    parser.add_argument("--data", type=Path, help="folder that holds sensors/")
    arguments = parser.parse_args()
    begin = time.perf_counter()
    done: dict[str, list[Trial]] = defaultdict(list)
    for seed in range(arguments.first, arguments.first + arguments.seeds):
        for trial in trials(seed):
            done[trial.kind].append(trial)
    sound = done.pop("")
    alarms = Counter(one.kind for trial in sound for one in trial.others)
    table = Table("Planted faults", ["fault", "series", "found, % (95 %)", "told right, % (95 %)", "others"])
    for kind, tried in done.items():
        others = Counter(one.kind for trial in tried for one in trial.others)
        said = ", ".join(f"{name} {count}" for name, count in sorted(others.items())) or "none"
        found, right = (sum(getattr(one, name) for one in tried) for name in ("found", "right"))
        table.rows.append([kind, len(tried), share(found, len(tried)), share(right, len(tried)), said])
    said = ", ".join(f"{name} {count}" for name, count in sorted(alarms.items())) or "none"
    table.remarks.append(f"False alarms on {len(sound)} sound series and stations: {said}.")
    missed = Counter((trial.kind, trial.quantity) for tried in done.values() for trial in tried if not trial.found)
    table.remarks.append(
        "Missed: " + (", ".join(f"{kind} of {what} {count}" for (kind, what), count in missed.most_common()) or "none") + "."
    )
    table.remarks.append(f"{time.perf_counter() - begin:.0f} s.")
    print(table.markdown())
    if arguments.data:
        real(arguments.data / "sensors")


def real(folder: Path) -> None:
    """Print what is suspected of the real series."""
    begin = time.perf_counter()
    rows = 0
    for path in [*sorted(folder.glob("nab/*/*.csv")), *sorted(folder.glob("logan_river/*[0-9].csv")), *sorted(folder.glob("*/*_data.csv"))]:
        frame = pl.read_csv(path, null_values="NULL", infer_schema_length=None)
        clock = frame.columns[0]
        stamps = frame[clock].str.slice(0, 19).str.replace("T", " ")
        form = "%Y-%m-%d %H:%M:%S" if stamps[0].count(":") == 2 and (stamps.str.len_chars() == 19).all() else "%Y-%m-%d %H:%M"
        frame = frame.with_columns((stamps if form.endswith("S") else stamps.str.slice(0, 16)).str.to_datetime(form))
        chosen = [name for name in frame.columns[1:] if not name.endswith(("_cor", "_qual", "_mask"))]
        rows += len(frame) * len(chosen)
        tell(path.name, tamis.discover(frame, time=clock, sensor=(), values=chosen))
    scada = pl.read_csv(folder / "la_haute_borne/scada_2014.csv.gz").with_columns(
        pl.col("Date_time").str.to_datetime("%Y-%m-%dT%H:%M:%S%z")
    )
    rows += len(scada) * 7
    tell("la_haute_borne", tamis.discover(scada, time="Date_time", sensor="Wind_turbine_name"))
    print(f"{rows:,} readings in {time.perf_counter() - begin:.0f} s")


def tell(name: str, found: tamis.Discovery) -> None:
    for row in found.findings.iter_rows(named=True):
        where = " ".join(word for word in (name, row["sensor"], row["column"]) if word)
        print(f"{where}: {row['kind']} {row['score']:.2f}: {row['says']}")


if __name__ == "__main__":
    main()
