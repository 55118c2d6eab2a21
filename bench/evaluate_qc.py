"""Quality control of real sensors against their labels: tamis, ioos_qc, SaQC and pecos, per test and overall.

    .venv/bin/python bench/evaluate_qc.py --data DATA [--environments FOLDER]

DATA holds `sensors/logan_river`, `sensors/pvanalytics` and `sensors/nab`. Each peer runs in an environment of its own, made by pip in a
temporary folder or in the one given, and is called with settings from its manual; see `qc_lane.py`. tamis learns its limits by the rule
that `tamis.quality_control` states, and takes the codes and the filled gaps that `tamis.discover` finds. `every row` is what comes of
flagging all.

The rule was chosen on FranklinBasin and on every other series of nab: tables of their own tell the rest, which was held out. The sound
artificial series of nab are told too, but for the constant one, on which SaQC raises an error.

Precision and recall count rows. An event is a run of true rows; it is found if a row of it is flagged. An alarm is a run of flagged
rows, runs at most two rows apart taken as one; it is right if at least half of its rows are true, so that
nothing is won by flagging all. The F1 by events is of these two shares.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time as clock
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from evaluate_common import Table
from harness import environment

HERE = Path(__file__).parent
PEERS = {"ioos_qc": ["ioos_qc==3.0.0"], "saqc": ["saqc==2.9.1"], "pecos": ["pecos==1.0.0", "pandas<3"]}
SYSTEMS = ("tamis", *PEERS)
CODE = -9999.0
APART = 2


@dataclass(slots=True)
class Labelled:
    """A series and what is wrong in it."""

    corpus: str
    name: str
    time: np.ndarray
    value: np.ndarray
    truth: np.ndarray
    held_out: bool = False


def logan_river(folder: Path) -> Iterator[Labelled]:
    """Yield raw columns with what a technician removed, and with what he removed or changed."""
    usable = pl.read_csv(folder / "usable_columns.csv").filter(pl.col("usable_as_truth") == "yes")
    for file, variable in usable.select("file", "variable").iter_rows():
        frame = pl.read_csv(folder / file, null_values="NULL", infer_schema_length=None)
        stamp = frame["datetime"].str.slice(0, 16).str.replace("T", " ").str.to_datetime("%Y-%m-%d %H:%M", time_unit="ns")
        raw, fixed = (frame[name].cast(pl.Float64).fill_null(np.nan).to_numpy() for name in (variable, f"{variable}_cor"))
        there = np.isfinite(raw)
        time, raw, fixed = stamp.cast(pl.Int64).to_numpy()[there], raw[there], fixed[there]
        removed = ~np.isfinite(fixed) | (fixed == CODE) | (raw == CODE)
        changed = removed | (np.abs(fixed - raw) > 1e-9)
        held = not file.startswith("Franklin")
        yield Labelled("logan_river, removed", f"{file} {variable}", time, raw, removed, held)
        yield Labelled("logan_river, removed or changed", f"{file} {variable}", time, raw, changed, held)


def pvanalytics(folder: Path) -> Iterator[Labelled]:
    """Yield power with values that are stuck, and with values that were filled in on a line."""
    for kind in ("stale", "interpolated"):
        frame = pl.read_csv(folder / f"ac_power_inv_2173_{kind}_data.csv")
        time = frame["timestamp"].str.to_datetime("%Y-%m-%d %H:%M:%S%z", time_unit="ns").cast(pl.Int64).to_numpy()
        value = frame["value_normalized"].cast(pl.Float64).fill_null(np.nan).to_numpy()
        yield Labelled(f"pvanalytics, {kind}", kind, time, value, frame[f"{kind}_data_mask"].cast(pl.Boolean).to_numpy())


def nab(folder: Path) -> Iterator[Labelled]:
    """Yield real series with windows around labelled anomalies; they are wide, so rows say little."""
    windows = json.loads((folder / "labels/combined_windows.json").read_text())
    sound = sorted(path.relative_to(folder).as_posix() for path in folder.glob("artificialNoAnomaly/*.csv") if path.stem != "art_flatline")
    real = [name for name, spans in windows.items() if spans and not name.startswith("artificial")]
    for name in (*real, *sound):
        spans = windows.get(name, [])
        frame = pl.read_csv(folder / name)
        time = frame["timestamp"].str.to_datetime("%Y-%m-%d %H:%M:%S", time_unit="ns").cast(pl.Int64).to_numpy()
        truth = np.zeros(len(time), bool)
        for span in spans:
            first, last = (pl.Series([at]).str.to_datetime("%Y-%m-%d %H:%M:%S%.f", time_unit="ns").cast(pl.Int64)[0] for at in span)
            truth |= (time >= first) & (time <= last)
        corpus = "nab, artificial and sound" if name in sound else "nab, real series"
        held = name not in sound and real.index(name) % 2 == 1
        yield Labelled(corpus, name, time, frame["value"].cast(pl.Float64).to_numpy(), truth, held)


def runs(flags: np.ndarray, apart: int = 0) -> np.ndarray:
    """Return first and last row of each run, runs at most so far apart taken as one."""
    rows = np.flatnonzero(flags)
    if not len(rows):
        return np.empty((0, 2), np.int64)
    cuts = np.flatnonzero(np.diff(rows) > apart + 1)
    return np.stack([rows[np.concatenate([[0], cuts + 1])], rows[np.concatenate([cuts, [len(rows) - 1]])]], axis=1)


def counts(truth: np.ndarray, flags: np.ndarray) -> np.ndarray:
    """Return true rows, flagged rows, both; events, found events; alarms, right alarms."""
    events, alarms = runs(truth), runs(flags, APART)
    found = sum(bool(flags[first : last + 1].any()) for first, last in events.tolist())
    right = sum(truth[first : last + 1].mean() >= 0.5 for first, last in alarms.tolist())
    return np.array([truth.sum(), flags.sum(), (truth & flags).sum(), len(events), found, len(alarms), right])


def row(total: np.ndarray) -> list[str]:
    """Return the shares of some counts."""
    true, flagged, both, events, found, alarms, right = (int(one) for one in total)
    precision, recall = both / max(1, flagged), both / max(1, true)
    sure, caught = right / max(1, alarms), found / max(1, events)
    shares = [precision, recall, _f1(precision, recall), sure, caught, _f1(sure, caught)]
    return [f"{flagged:,}", *(f"{share:.3f}" for share in shares), f"{found} of {events}", f"{right} of {alarms}"]


def _f1(precision: float, recall: float) -> float:
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder that holds sensors/")
    parser.add_argument("--environments", type=Path, help="where the peers' environments are made and kept; a temporary folder by default")
    parser.add_argument("--systems", nargs="*", default=list(SYSTEMS), choices=SYSTEMS)
    arguments = parser.parse_args()
    sensors = arguments.data / "sensors"
    series = [
        *logan_river(sensors / "logan_river"),
        *pvanalytics(sensors / "pvanalytics"),
        *nab(sensors / "nab"),
    ]  # fmt: skip
    with tempfile.TemporaryDirectory(prefix="tamis-qc-") as name:
        folder = Path(name)
        for number, one in enumerate(series):
            np.savez(folder / f"series-{number:03d}.npz", time=one.time, value=one.value)
        for system in arguments.systems:
            environments = arguments.environments or folder / "environments"
            python = sys.executable if system == "tamis" else environment(environments / system, PEERS[system])
            begin = clock.perf_counter()
            done = subprocess.run(
                [python, str(HERE / "qc_lane.py"), system, name], capture_output=True, text=True, check=False, env=os.environ
            )
            if done.returncode:
                sys.exit(f"{system} failed:\n{done.stderr[-2000:]}")
            rows = sum(len(one.value) for one in series)
            print(f"{system}: {len(series)} series, {rows:,} rows in {clock.perf_counter() - begin:.0f} s", flush=True)
        for table in tables(series, folder, arguments.systems):
            print(table.markdown())


def tables(series: list[Labelled], folder: Path, systems: list[str]) -> Iterator[Table]:
    """Yield a table for each corpus: each system overall, then its tests."""
    columns = [
        "system",
        "tests",
        "flagged",
        "precision",
        "recall",
        "F1",
        "alarms right",
        "events found",
        "F1 by events",
        "events",
        "alarms",
    ]
    numbered = list(enumerate(series))
    for corpus in dict.fromkeys(one.corpus for one in series):
        chosen = [(number, one) for number, one in numbered if one.corpus == corpus]
        yield _table(corpus, columns, chosen, folder, systems, each=True)
        if held := [(number, one) for number, one in chosen if one.held_out]:
            yield _table(f"{corpus}, held out", columns, held, folder, systems, each=False)


def _table(title: str, columns: list[str], chosen: list[tuple[int, Labelled]], folder: Path, systems: list[str], *, each: bool) -> Table:
    """Return what the systems found in some series: overall and, if wanted, each test."""
    table = Table(f"{title}: {len(chosen)} series, {sum(len(one.value) for _, one in chosen):,} rows", columns)
    for system in systems:
        found = {number: dict(np.load(folder / f"{system}-series-{number:03d}.npz")) for number, _ in chosen}
        overall = np.sum([counts(one.truth, np.any(list(found[number].values()), axis=0)) for number, one in chosen], axis=0)
        table.rows.append([system, "**all**", *row(overall)])
        for test in list(next(iter(found.values()))) if each else []:
            table.rows.append([system, test, *row(np.sum([counts(one.truth, found[number][test]) for number, one in chosen], axis=0))])
    every = np.sum([counts(one.truth, np.ones(len(one.truth), bool)) for _, one in chosen], axis=0)
    table.rows.append(["every row", "", *row(every)])
    return table


if __name__ == "__main__":
    main()
