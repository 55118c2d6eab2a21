"""The sensor windows of a sample: distinct signals, and some of them again with another gain, offset or noise."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tamis.sample.truth import Truth

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

RECORD = "windows.parquet"
LENGTH = 256
START = datetime(2024, 3, 20, tzinfo=UTC)
SENSORS = ("bearing-a", "bearing-b", "gearbox", "tower")
FAULT_SHARE = 0.03

Change = tuple["NDArray[np.float64]", str]


def _gain(samples: NDArray[np.float64], rng: np.random.Generator) -> Change:
    gain = float(rng.uniform(1.2, 3))
    return samples * gain, f"times {gain:.3f}"


def _offset(samples: NDArray[np.float64], rng: np.random.Generator) -> Change:
    offset = float(rng.uniform(5, 50))
    return samples + offset, f"plus {offset:.3f}"


def _noise(samples: NDArray[np.float64], rng: np.random.Generator) -> Change:
    sigma = 0.002 * float(samples.std())
    return samples + rng.normal(0, sigma, len(samples)), f"noise of standard deviation {sigma:.2g}"


def _copy(samples: NDArray[np.float64], _: np.random.Generator) -> Change:
    return samples, "the same samples"


FAULTS: dict[str, Callable[[NDArray[np.float64], np.random.Generator], Change]] = {
    "near_gain": _gain,
    "near_offset": _offset,
    "near_noise": _noise,
    "same_samples": _copy,
}


def write_windows(corpus: Path, seed: int, windows: int) -> list[Truth]:
    """Write `windows` windows of `LENGTH` samples to one Parquet file and return the truth about each."""
    rng = np.random.default_rng([seed, 4])
    planned = list(FAULTS) * max(1, round(FAULT_SHARE * windows))
    clean = windows - len(planned)
    signals = [_signal(rng) for _ in range(clean)]
    numbers = rng.permutation(clean)[: len(planned)]
    made = [(number, *FAULTS[fault](signals[number], rng)) for fault, number in zip(planned, numbers, strict=True)]

    places = rng.permutation(windows)  # the row where each window goes: first the clean ones, then the others
    truths = [Truth(f"{RECORD}#{row}", "window") for row in places[:clean]]
    for row, fault, (number, _, detail) in zip(places[clean:], planned, made, strict=True):
        original = f"{RECORD}#{places[number]}"
        truths.append(Truth(f"{RECORD}#{row}", "window", fault, "reject", original, detail))

    samples = signals + [changed for _, changed, _ in made]
    in_order = np.argsort(places)
    _write(corpus / RECORD, [samples[at] for at in in_order], rng)
    return [truths[at] for at in in_order]


def _signal(rng: np.random.Generator) -> NDArray[np.float64]:
    """Return a random walk with two oscillations: no two are alike in shape."""
    time = np.arange(LENGTH) / LENGTH
    signal = np.cumsum(rng.normal(0, 0.25, LENGTH))
    for _ in range(2):
        signal += rng.uniform(0.5, 2) * np.sin(2 * np.pi * (rng.uniform(1, 12) * time + rng.uniform()))
    return signal


def _write(path: Path, samples: list[NDArray[np.float64]], rng: np.random.Generator) -> None:
    count = len(samples)
    columns = {
        "window": pa.array(range(count), pa.int64()),
        "sensor": pa.array([str(name) for name in rng.choice(SENSORS, count)]),
        "start": pa.array([START + timedelta(minutes=at) for at in range(count)], pa.timestamp("us", "UTC")),
        "samples": pa.array(samples, pa.list_(pa.float64())),
    }
    pq.write_table(pa.table(columns), path)
