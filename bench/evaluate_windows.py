"""Windows of real sensors, with faults planted in half of them: what the check `windows` tells on, and which copies are found."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import polars as pl
from evaluate_common import Setting, Table, share

import tamis

SCADA = "la_haute_borne/scada_2014.csv.gz"
LENGTH = 256
WINDOWS, QUICK_WINDOWS = 4_000, 400
Plant = Callable[[np.ndarray, np.random.Generator], np.ndarray]


def _gaps(window: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    window[rng.permutation(LENGTH)[: rng.integers(1, 20)]] = np.nan
    return window


def _infinite(window: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    window[rng.integers(LENGTH)] = rng.choice([np.inf, -np.inf])
    return window


def _clipped(window: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    low, high = np.quantile(window, [0.0, rng.uniform(0.7, 0.95)])
    clipped: np.ndarray = np.clip(window, low, high)
    return clipped


PLANTED: dict[str, Plant] = {
    "empty": lambda window, _: np.full_like(window, np.nan),
    "gaps": _gaps,
    "infinite": _infinite,
    "constant": lambda window, _: np.full_like(window, window[0]),
    "clipped": _clipped,
    "odd_length": lambda window, rng: window[: rng.integers(LENGTH // 2, LENGTH)],
}


def evaluate(setting: Setting) -> Iterator[Table]:
    """Yield the table of this part."""
    rng = np.random.default_rng([setting.seed, 17])
    windows, names = _real(setting)
    some = rng.permutation(len(windows))[: QUICK_WINDOWS if setting.quick else WINDOWS]
    told = _told([windows[one] for one in some], setting)
    natural = Table(
        f"Windows: {len(some):,} windows of {LENGTH} readings of real sensors, as they are",
        ["corpus", "windows", *(f"told {issue}" for issue in PLANTED)],
    )
    for corpus in dict.fromkeys(names):
        mine = {place for place, one in enumerate(some) if names[one] == corpus}
        natural.rows.append([corpus, len(mine), *(len(mine & told[issue]) for issue in PLANTED)])
    yield natural
    sound = [windows[one] for place, one in enumerate(some) if not any(place in told[issue] for issue in PLANTED)]
    faults = [*PLANTED, *[""] * len(PLANTED)]
    planted = [faults[place % len(faults)] for place in range(len(sound))]
    told = _told([PLANTED[fault](one.copy(), rng) if fault else one for fault, one in zip(planted, sound, strict=True)], setting)
    table = Table(
        f"Windows: faults planted in half of the {len(sound):,} on which nothing was told",
        ["fault", "planted", "found, % (95 %)", "told on others"],
    )
    for issue in PLANTED:
        mine = {place for place, fault in enumerate(planted) if fault == issue}
        table.rows.append([issue, len(mine), share(len(mine & told[issue]), len(mine)), len(told[issue] - mine)])
    yield table
    for length in (64, LENGTH):
        yield _copies(length, setting)


CHANGES: dict[str, Plant] = {
    "the same": lambda window, _: window,
    "times 1.2 to 3": lambda window, rng: window * rng.uniform(1.2, 3),
    "plus 1 to 5 deviations": lambda window, rng: window + rng.uniform(1, 5) * window.std(),
    "noise of 1 %": lambda window, rng: window + 0.01 * window.std() * rng.standard_normal(len(window)),
    "noise of 3 %": lambda window, rng: window + 0.03 * window.std() * rng.standard_normal(len(window)),
    "noise of 1 %, times 1.2 to 3": lambda window, rng: (
        (window + 0.01 * window.std() * rng.standard_normal(len(window))) * rng.uniform(1.2, 3)
    ),
}
RULES: dict[str, dict[str, bool]] = {"by default": {}, "rescaled = false": {"near_duplicates.rescaled": False}}


def _copies(length: int, setting: Setting) -> Table:
    """Return how many windows go as they are, and how many changed copies beside what they were made of."""
    rng = np.random.default_rng([setting.seed, 18, length])
    windows, _ = _real(setting, length)
    windows = [windows[one] for one in rng.permutation(len(windows))[: QUICK_WINDOWS if setting.quick else 2 * WINDOWS]]
    table = Table(
        f"Windows: near-duplicates among {len(windows):,} windows of {length} readings, and changed copies of every fourth that varies",
        ["change", "copies", *(f"gone {rule}, %" for rule in RULES)],
    )
    names = [*CHANGES]
    made = {place: names[place // 4 % len(names)] for place, window in enumerate(windows) if place % 4 == 0 and window.std() > 0}
    copies = [CHANGES[change](windows[place], rng) for place, change in made.items()]
    alone, beside = ([_gone(some, rule, setting) for rule in RULES.values()] for some in (windows, windows + copies))
    table.rows.append(["none", len(windows), *(share(len(gone), len(windows)) for gone in alone)])
    for change in CHANGES:
        mine = [(place, len(windows) + number) for number, (place, kind) in enumerate(made.items()) if kind == change]
        counts = [sum(one in gone or other in gone for one, other in mine) for gone in beside]
        table.rows.append([change, len(mine), *(share(count, len(mine)) for count in counts)])
    return table


def _gone(windows: list[np.ndarray], settings: dict[str, bool], setting: Setting) -> set[int]:
    """Return the rows that are near-duplicates of others."""
    folder = _written(windows, setting)
    quiet = {"exact_duplicates.enabled": False, "missing.enabled": False, "windows.enabled": False}
    result = tamis.check(folder / "w.parquet", folder / "out", settings=quiet | settings, jobs=setting.jobs)
    return set(result.rejected.select("row").collect()["row"].to_list())


def _told(windows: list[np.ndarray], setting: Setting) -> dict[str, set[int]]:
    """Return the rows that each issue is told of."""
    folder = _written(windows, setting)
    settings = {"windows.length": LENGTH, "near_duplicates.enabled": False, "exact_duplicates.enabled": False, "missing.enabled": False}
    result = tamis.check(folder / "w.parquet", folder / "out", settings=settings, jobs=setting.jobs)
    notes = result.notes.filter(pl.col("check") == "windows").select("row", "reason").collect()
    return {issue: set(notes.filter(pl.col("reason") == f"{issue}_window")["row"].to_list()) for issue in PLANTED}


def _written(windows: list[np.ndarray], setting: Setting) -> Path:
    """Write windows to a table and return its folder."""
    folder = setting.work / f"windows-{len(list(setting.work.iterdir()))}"
    folder.mkdir()
    pl.DataFrame({"window": pl.Series([one.tolist() for one in windows], dtype=pl.List(pl.Float64))}).write_parquet(folder / "w.parquet")
    return folder


def _real(setting: Setting, length: int = LENGTH) -> tuple[list[np.ndarray], list[str]]:
    """Return windows of real series, without missing values, and the corpus of each."""
    windows: list[np.ndarray] = []
    names: list[str] = []
    sensors = setting.folder("sensors")
    for path in [*sorted(sensors.glob("nab/real*/*.csv")), *sorted(sensors.glob("logan_river/*[0-9].csv")), sensors / SCADA]:
        frame = pl.read_csv(path, null_values="NULL", infer_schema_length=None)
        channels = [name for name, dtype in frame.schema.items() if dtype.is_float() and not name.endswith(("_cor", "_qual"))]
        for part in frame.partition_by("Wind_turbine_name") if "Wind_turbine_name" in frame.columns else [frame]:
            for name in channels:
                value = part[name].drop_nulls().to_numpy()
                cut = value[: len(value) // length * length].reshape(-1, length)
                windows += list(cut)
                names += [path.relative_to(sensors).parts[0]] * len(cut)
    return windows, names
