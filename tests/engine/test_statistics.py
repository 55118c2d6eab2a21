"""Statistics that grow and shrink: the figures of the rows that are in them, bit for bit."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

import tamis
from tamis.errors import ColumnError
from tamis.normalizer import Normalizer
from tamis_kernels.errors import ArgumentError


def readings(rows: int = 400) -> pl.DataFrame:
    random = np.random.default_rng(11)
    values = 1e9 + random.integers(-40, 40, rows) / 8
    values[::17], values[3], values[4] = math.nan, math.inf, -math.inf
    sensors = random.choice(["ash", "birch", "cedar"], rows)
    frame = pl.DataFrame(
        {"sensor": sensors, "value": values, "short": random.standard_normal(rows).astype(np.float32), "whole": random.integers(0, 9, rows)}
    )
    return frame.with_columns(
        pl.when(pl.int_range(rows) % 31 == 5).then(None).otherwise(pl.col("sensor")).alias("sensor"),
        pl.when(pl.int_range(rows) % 9 == 2).then(None).otherwise(pl.col("value")).alias("value"),
    )


@pytest.mark.parametrize("by", [None, "sensor"])
def test_figures_are_those_of_polars(by: Any) -> None:
    frame = readings()
    found = tamis.Statistics(by, quantiles=True).add(frame).frame()
    assert len(found) == (3 if by is None else 12)
    for row in found.iter_rows(named=True):
        part = frame if row.get("sensor") is None else frame.filter(pl.col("sensor") == row["sensor"])
        values = part[row["column"]].cast(pl.Float64)
        good = values.filter(values.is_finite())
        assert (row["count"], row["null"], row["nan"]) == (len(good), values.null_count(), values.is_nan().sum())
        assert row["positive_infinity"] + row["negative_infinity"] == values.is_infinite().sum()
        assert [row["min"], row["max"]] == [good.min(), good.max()]
        assert [row["q25"], row["median"], row["q75"]] == np.quantile(good.to_numpy(), [0.25, 0.5, 0.75]).tolist()
        assert row["mad"] == np.median(np.abs(good.to_numpy() - row["median"]))
        np.testing.assert_allclose([row["mean"], row["std"]], [good.mean(), good.std(ddof=0)], rtol=1e-9)


@pytest.mark.parametrize("quantiles", [False, True])
def test_what_was_added_and_removed_leaves_no_trace(quantiles: bool) -> None:
    frame = readings()
    kept = tamis.Statistics("sensor", quantiles=quantiles).add(frame[100:])
    changed = tamis.Statistics("sensor", quantiles=quantiles).add(frame[300:]).add(frame[:300]).remove(frame[:100])
    parted = tamis.Statistics("sensor", quantiles=quantiles).add(frame) - tamis.Statistics("sensor", quantiles=quantiles).add(frame[:100])
    for found in (changed, parted):
        drop = [] if quantiles else ["min", "max"]
        assert_frame_equal(found.frame().drop(drop), kept.frame().drop(drop), check_exact=True)
        assert quantiles or found.frame()["min"].null_count() == 12
    joined = tamis.Statistics("sensor", quantiles=quantiles).add(frame[100:200]) + tamis.Statistics("sensor", quantiles=quantiles).add(
        frame[200:]
    )
    assert_frame_equal(joined.frame(), kept.frame(), check_exact=True)


def test_state_travels_and_fits_a_normalizer() -> None:
    frame = readings().select("sensor", "value", "short")
    seen = tamis.Statistics("sensor").add(frame)
    loaded = tamis.Statistics.from_dict(json.loads(json.dumps(seen.to_dict())))
    assert_frame_equal(loaded.frame(), seen.frame(), check_exact=True)
    fitted = Normalizer.from_statistics({name: loaded.moments(name) for name in ("value", "short")})
    assert fitted.to_dict() == Normalizer().fit(frame.drop("sensor")).to_dict()


def test_nothing_has_no_figures() -> None:
    none = tamis.Statistics(quantiles=True).add(pl.DataFrame({"a": [None, math.nan]}, schema={"a": pl.Float32})).frame()
    assert none.row(0) == ("a", 0, 1, 1, 0, 0, *[None] * 8)
    assert tamis.Statistics().add(pl.DataFrame({"name": ["x"]})).frame().is_empty()


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: tamis.Statistics("sensors").add(readings()), ColumnError, "'sensors', which tells the groups"),
        (
            lambda: tamis.Statistics("sensor", most_groups=2).add(readings()),
            ArgumentError,
            "3 values, more than the 2 groups.*raise most_groups",
        ),
        (lambda: tamis.Statistics().remove(readings()), ArgumentError, "remove only what was added"),
        (lambda: tamis.Statistics().add(readings()[:2]).remove(readings()[2:20]), ArgumentError, "cannot (remove|subtract)"),
        (lambda: tamis.Statistics() + tamis.Statistics(quantiles=True), ArgumentError, "must agree in by and quantiles"),
        (lambda: tamis.Statistics(quantiles=True).to_dict(), ArgumentError, "which are not written"),
        (lambda: tamis.Statistics.from_dict({}), ArgumentError, "not statistics"),
        (lambda: tamis.Statistics().add(readings()).moments("valu"), ColumnError, "nothing was added of column 'valu'"),
    ],
)
def test_bad_use_says_what_is_wrong(call: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()
