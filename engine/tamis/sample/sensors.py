"""The sensor readings of a sample: stations that each write their files in their own way, with faults in known rows."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime, timedelta, timezone
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tamis.sample.truth import Expected, Truth

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

START = datetime(2024, 3, 20, tzinfo=UTC)  # past the 12th, so that a day-first date shows itself
INTERVAL = timedelta(minutes=10)
SENSORS_PER_STATION = 3
QUANTITIES = ("temperature", "humidity", "pressure")
UNITS = {"temperature": " °C", "humidity": " %", "pressure": " hPa"}
MISSING_WORDS = ("NA", "n/a", "null", "missing", "-", "NaN")
SENTINELS = ("-9999", "-9999.0", "-999.9")
SUMMER_TIME = timezone(timedelta(hours=2))

Cell = str | float | datetime | None
Row = list[Cell]


def _iso_utc(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"


def _iso_offset(moment: datetime) -> str:
    return moment.astimezone(SUMMER_TIME).isoformat()


def _day_first(moment: datetime) -> str:
    return f"{moment:%d/%m/%Y %H:%M:%S}"


def _epoch_seconds(moment: datetime) -> str:
    return str(int(moment.timestamp()))


def _typed(moment: datetime) -> datetime:
    return moment


class Station(NamedTuple):
    """How a station writes: its columns in order, the faults it is prone to, its timestamps and its encoding."""

    name: str
    columns: tuple[str, ...]
    faults: tuple[str, ...]
    timestamp: Callable[[datetime], Cell]
    encoding: str = "utf-8"


CSV_STATIONS = (
    Station(
        "alder",
        ("timestamp", "sensor", *QUANTITIES),
        ("missing_word", "blank", "sentinel", "duplicate_row", "unparsable"),
        _iso_utc,
    ),
    Station(
        "birch",
        ("timestamp", "sensor", *QUANTITIES),
        ("decimal_comma", "missing_word", "duplicate_row"),
        _day_first,
        "utf-8-sig",  # begins with a byte order mark
    ),
    Station(
        "cedar",
        ("sensor", "timestamp", "pressure", "temperature", "humidity"),
        ("unit_suffix", "sentinel", "timestamp_format"),
        _iso_offset,
    ),
    Station(
        "elm",
        ("timestamp", "pressure", "humidity", "temperature", "sensor"),
        ("short_row", "long_row", "duplicate_row", "blank"),
        _epoch_seconds,
    ),
)
PARQUET_STATIONS = (
    Station("fir", ("timestamp", "sensor", *QUANTITIES), ("null", "nan", "sentinel", "duplicate_row"), _typed),
    Station("gorse", ("sensor", *QUANTITIES, "timestamp"), ("null", "sentinel"), _typed),
)
FAULT_SHARE = 0.01  # of a file's rows, for each of its faults
MINIMUM_ROWS = 600  # each fault once, and a clean row before each duplicate


def write_sensors(corpus: Path, seed: int, rows: int) -> Iterator[Truth]:
    """Write files with `rows` data rows in all below `corpus/sensors`, yielding the truth about each row."""
    (corpus / "sensors").mkdir()
    stations = CSV_STATIONS + PARQUET_STATIONS
    for number, station in enumerate(stations):
        rng = np.random.default_rng([seed, 3, number])
        count = rows // len(stations) + (number < rows % len(stations))
        as_csv = station in CSV_STATIONS
        record = f"sensors/{station.name}.{'csv' if as_csv else 'parquet'}"
        table = _readings(station, count, rng, str if as_csv else float)
        yield from _spoil_rows(record, station, table, rng)
        (_write_csv if as_csv else _write_parquet)(corpus / record, station, table)


def _readings(station: Station, count: int, rng: np.random.Generator, number: type[str | float]) -> list[Row]:
    """Return `count` readings of a station's sensors, in the order and the notation of the station."""
    steps = -(-count // SENSORS_PER_STATION)
    weather = [_weather(steps, rng) for _ in range(SENSORS_PER_STATION)]
    table = []
    for at in range(count):
        step, sensor = divmod(at, SENSORS_PER_STATION)
        cells: dict[str, Cell] = {
            "timestamp": station.timestamp(START + step * INTERVAL),
            "sensor": f"{station.name}-{sensor + 1}",
        }
        cells |= {name: number(f"{values[step]:.2f}") for name, values in weather[sensor].items()}
        table.append([cells[name] for name in station.columns])
    return table


def _weather(steps: int, rng: np.random.Generator) -> dict[str, NDArray[np.float64]]:
    day = 2 * np.pi * np.arange(steps) * (INTERVAL / timedelta(days=1))
    gusts = np.convolve(rng.normal(0, 0.6, steps + 8), np.ones(9) / 3, "valid")
    temperature = rng.uniform(6, 14) + rng.uniform(3, 7) * np.sin(day + rng.uniform(0, 0.5)) + gusts
    humidity = np.clip(68 - 2.2 * (temperature - 10) + rng.normal(0, 1.5, steps), 8, 98)
    pressure = 1013 + 6 * np.sin(day / 5 + rng.uniform(0, 6)) + np.cumsum(rng.normal(0, 0.05, steps))
    return {"temperature": temperature, "humidity": humidity, "pressure": pressure}


def _spoil_rows(record: str, station: Station, table: list[Row], rng: np.random.Generator) -> Iterator[Truth]:
    """Plant the station's faults in its table, in place, yielding the truth about each row."""
    each = max(1, round(FAULT_SHARE * len(table)))
    places = 1 + rng.permutation(len(table) - 1)[: each * len(station.faults)]
    planted = dict(zip(places.tolist(), station.faults * each, strict=True))
    clean = []
    for at, row in enumerate(table):
        fault = planted.get(at, "none")
        if fault == "none":
            clean.append(at)
            yield Truth(f"{record}#{at}", "reading")
        elif fault == "duplicate_row":
            original = int(rng.choice(clean))
            row[:] = table[original]
            yield Truth(f"{record}#{at}", "reading", fault, "reject", f"{record}#{original}", "every cell the same")
        else:
            detail = SPOILERS[fault](row, station, rng)
            yield Truth(f"{record}#{at}", "reading", fault, EXPECTED[fault], detail=detail)


def _replace(row: Row, station: Station, word: str | None, rng: np.random.Generator) -> str:
    """Put `word` in place of one measured value, as the type that its column has."""
    name = str(rng.choice(QUANTITIES))
    at = station.columns.index(name)
    row[at] = float(word) if word is not None and isinstance(row[at], float) else word
    return f"{name} is {word!r}"


def _rewrite(row: Row, station: Station, rewrite: Callable[[str, str], str]) -> str:
    """Rewrite each measured value, given its column and its text."""
    for name in QUANTITIES:
        at = station.columns.index(name)
        row[at] = rewrite(name, str(row[at]))
    return f"{QUANTITIES[0]} reads {row[station.columns.index(QUANTITIES[0])]!r}"


def _other_zone(row: Row, station: Station) -> str:
    at = station.columns.index("timestamp")
    row[at] = _iso_utc(datetime.fromisoformat(str(row[at])).astimezone(UTC))
    return f"timestamp reads {row[at]!r}"


def _cut(row: Row, length: int) -> str:
    whole = len(row)
    del row[length:]
    return f"{length} of {whole} cells"


def _extend(row: Row) -> str:
    row.append("?")
    return f"{len(row)} cells for {len(row) - 1} columns"


SPOILERS: dict[str, Callable[[Row, Station, np.random.Generator], str]] = {
    "missing_word": lambda row, station, rng: _replace(row, station, str(rng.choice(MISSING_WORDS)), rng),
    "blank": lambda row, station, rng: _replace(row, station, "", rng),
    "sentinel": lambda row, station, rng: _replace(row, station, str(rng.choice(SENTINELS)), rng),
    "unparsable": lambda row, station, rng: _replace(row, station, f"err:{rng.integers(10, 99)}", rng),
    "null": lambda row, station, rng: _replace(row, station, None, rng),
    "nan": lambda row, station, rng: _replace(row, station, "nan", rng),
    "decimal_comma": lambda row, station, _: _rewrite(row, station, lambda _, text: text.replace(".", ",")),
    "unit_suffix": lambda row, station, _: _rewrite(row, station, lambda name, text: text + UNITS[name]),
    "timestamp_format": lambda row, station, _: _other_zone(row, station),
    "short_row": lambda row, _, rng: _cut(row, int(rng.integers(2, len(row)))),
    "long_row": lambda row, _, __: _extend(row),
}
EXPECTED: dict[str, Expected] = {
    **dict.fromkeys(("missing_word", "blank", "sentinel", "unparsable", "null", "nan"), "note"),
    **dict.fromkeys(("decimal_comma", "unit_suffix", "timestamp_format"), "keep"),
    **dict.fromkeys(("short_row", "long_row"), "reject"),
}


def _write_csv(path: Path, station: Station, table: Sequence[Row]) -> None:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(station.columns)
    writer.writerows(table)
    path.write_bytes(text.getvalue().encode(station.encoding))


def _write_parquet(path: Path, station: Station, table: Sequence[Row]) -> None:
    types = {"timestamp": pa.timestamp("us", "UTC"), "sensor": pa.string()}
    schema = pa.schema([(name, types.get(name, pa.float64())) for name in station.columns])
    columns = [pa.array(column, schema.field(at).type) for at, column in enumerate(zip(*table, strict=True))]
    pq.write_table(pa.Table.from_arrays(columns, schema=schema), path)
