"""Quality control of planted faults of instruments, whose readings are all known: precision, recall, and F1 by event."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import polars as pl
from evaluate_common import Setting, Table, share

import tamis
from tamis.sample.series import RECORD, write_series

ROWS, QUICK_ROWS = 200_000, 20_000
# What each test is for; a test that tells on another planted fault is not wrong, but has not found what it is for.
MEANT = {
    "range": {"out_of_range"},
    "spike": {"spike"},
    "rate": {"spike", "out_of_range"},
    "flat": {"stuck", "saturation"},
    "saturated": {"saturation"},
    "gap": {"gap"},
    "duplicate": {"duplicate_time"},
    "hampel": {"spike", "out_of_range"},
}
WHOLE_ROW = ("gap", "duplicate_time")  # planted in rows, and so in both channels
LIMITS: list[dict[str, Any]] = [{"fail_low": -40.0, "fail_high": 60.0}, {"column": "level", "rail_high": 12.0}]


class Score(NamedTuple):
    """Readings and events of one test, or of all."""

    told: int
    right: int
    planted: int
    found: int
    events: int
    events_found: int
    false_events: int

    @property
    def event_f1(self) -> float:
        """Twice the found events, by all that are planted or told."""
        total = self.events + self.events_found + self.false_events
        return 2 * self.events_found / total if total else 1.0


def evaluate(setting: Setting) -> Iterator[Table]:
    """Yield the table of this part."""
    folder = setting.work / "instruments"
    folder.mkdir(parents=True, exist_ok=True)
    rows = QUICK_ROWS if setting.quick else ROWS
    planted = [(one.fault, one.detail) for one in write_series(folder, setting.seed, rows)]
    truth = pl.DataFrame(planted, schema=["fault", "detail"], orient="row")
    result = tamis.quality_control(folder / RECORD, limits=LIMITS)
    flags = result.named().select("row", "sensor", "column", "tests", "flag").collect()
    known = flags.join(truth.with_row_index("row").cast({"row": pl.Int64}), on="row", maintain_order="left").with_columns(
        pl.col("tests").list.eval(pl.element().str.replace(":fail", "")),
        mine=pl.col("fault").is_in(WHOLE_ROW) | (pl.col("detail").str.extract(r"^(\w+),") == pl.col("column")),
    )
    known = known.with_columns(fault=pl.when(pl.col("mine")).then("fault").otherwise(pl.lit("none")))
    table = Table(
        f"Instruments: faults planted in {len(flags):,} readings, limits learnt but for a range and a rail",
        ["test", "told on", "of these planted, %", "planted for it, found, %", "events", "found", "false events", "event F1"],
    )
    for test, faults in MEANT.items():
        _add(table, test, score(known, pl.col("tests").list.contains(test), faults))
    every = set(truth["fault"].unique()) - {"none"}
    _add(table, "all", score(known, pl.col("flag") >= 3, every))
    for fault in sorted(every):
        found = score(known, pl.col("flag") >= 3, {fault})
        table.remarks.append(f"{fault}: {found.events_found} of {found.events} events found by any test.")
    table.remarks.append(
        "A reading beside a planted one counts as right: it differs from a faulty neighbour. An event is found if a test tells on one of "
        "its readings; a false event is a run of readings told on that lies beside no planted one. Of two readings of one time both are "
        "planted, and `duplicate` tells on the second."
    )
    yield table


def score(known: pl.DataFrame, told: pl.Expr, faults: set[str]) -> Score:
    """Compare what was told with what was planted for it; readings by series and time."""
    series = ("sensor", "column")
    frame = known.with_columns(told=told, planted=pl.col("fault").is_in(faults), any=pl.col("fault") != "none")
    beside = pl.col("any") | pl.col("any").shift(1).over(series) | pl.col("any").shift(-1).over(series)
    frame = frame.with_columns(near=beside.fill_null(pl.col("any")))
    runs = (pl.col("told") & ~pl.col("told").shift(1).over(series).fill_null(value=False)).cum_sum()
    false = frame.with_columns(run=runs).filter("told").group_by("run").agg(pl.col("near").any()).filter(~pl.col("near"))
    key = pl.when(pl.col("fault") == "gap").then(pl.col("row").cast(pl.String)).otherwise("detail")
    planted = frame.filter("planted").with_columns(event=pl.concat_str("sensor", "column", key)).group_by("event").agg(pl.col("told").any())
    return Score(
        told=int(frame["told"].sum()),
        right=frame.select((pl.col("told") & pl.col("near")).sum()).item(),
        planted=int(frame["planted"].sum()),
        found=frame.select((pl.col("told") & pl.col("planted")).sum()).item(),
        events=len(planted),
        events_found=int(planted["told"].sum()),
        false_events=len(false),
    )


def _add(table: Table, name: str, found: Score) -> None:
    precision, recall = share(found.right, found.told), share(found.found, found.planted)
    table.rows.append([name, found.told, precision, recall, found.events, found.events_found, found.false_events, found.event_f1])
