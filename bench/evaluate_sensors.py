"""Sensor tables: what tamis counted and wrote, beside the same facts counted with the csv module alone."""

from __future__ import annotations

import csv
import gzip
import json
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import polars as pl
from evaluate_common import Cell, Setting, Table

import tamis

CHANNELS = ("Ba_avg", "P_avg", "Ws_avg", "Va_avg", "Ot_avg", "Ya_avg", "Wa_avg")
KEY = ("Wind_turbine_name", "Date_time")


def evaluate(setting: Setting) -> Iterator[Table]:
    """Yield the tables of this part."""
    facts = Table("Sensors: facts of the data, counted by the csv module and by tamis", ["corpus", "fact", "csv module", "tamis"])
    unseen = Table("Sensors: facts that no check looks for", ["corpus", "fact", "count"])
    _logan_river(setting, facts)
    _nab(setting, facts, unseen)
    _la_haute_borne(setting, facts, unseen)
    _pvanalytics(setting, facts, unseen)
    differing = sum(row[2] != row[3] for row in facts.rows)
    facts.remarks.append(f"{differing} of {len(facts.rows)} facts differ.")
    yield facts
    yield unseen


def _rows(path: Path) -> list[dict[str, str]]:
    """Read a table as text, without empty lines."""
    with gzip.open(path, "rt", newline="") if path.suffix == ".gz" else path.open(newline="") as file:
        return list(csv.DictReader(file))


def _clean(setting: Setting, name: str, source: Path | list[Path], **settings: object) -> tuple[tamis.Result, dict[str, Any]]:
    """Clean a source of one table group; return the result and the group's part of the manifest."""
    dotted = {key.replace("__", "."): value for key, value in settings.items()}
    result = tamis.clean(source, setting.work / name, settings=dotted, jobs=setting.jobs)
    (group,) = result.manifest["tables"].values()
    return result, group


def _reasons(result: tamis.Result) -> Counter[str]:
    return Counter({row["reason"]: row["records"] for row in result.manifest["counts"]["by_reason"]})


def _nulls(group: dict[str, Any], why: str) -> int:
    return sum(int(column["nulls"].get(why, 0)) for column in group["columns"])


def _times(result: tamis.Result, column: str) -> list[datetime | None]:
    frame = result.kept.select(pl.col(column)).collect()
    return frame[column].to_list()


def _logan_river(setting: Setting, facts: Table) -> None:
    files = sorted(setting.folder("sensors/logan_river").glob("*[0-9].csv"))
    rows = [row for path in files for row in _rows(path)]
    result, group = _clean(setting, "logan_river", files)
    cells = [(name, text) for row in rows for name, text in row.items() if name != "datetime"]
    codes = Counter(name for name, text in cells if text != "NULL" and float(text) == -9999)
    pairs: list[tuple[str, Cell, Cell]] = [
        ("rows", len(rows), group["rows_read"]),
        ("cells with the word NULL", sum(text == "NULL" for _, text in cells), _nulls(group, "word")),
        ("cells with the code -9999", codes.total(), _nulls(group, "code")),
        ("columns in which each count agrees", len(group["columns"]), _agreeing(rows, group)),
        (
            "timestamps, of two forms, read as the same instant",
            len(rows),
            _same([_instant(row["datetime"]) for row in rows], _times(result, "datetime")),
        ),
        ("rows held back", 0, result.manifest["counts"]["rejected"]),
    ]
    facts.rows += [("logan_river", *pair) for pair in pairs]


def _agreeing(rows: list[dict[str, str]], group: dict[str, Any]) -> int:
    agreeing = 0
    for column in group["columns"]:
        texts = [row[column["name"]] for row in rows]
        words = texts.count("NULL")
        codes = sum(text != "NULL" and float(text) == -9999 for text in texts) if column["kind"] == "number" else 0
        agreeing += (words, codes) == (column["nulls"].get("word", 0), column["nulls"].get("code", 0)) and not column["nulls"].get(
            "unparsed"
        )
    return agreeing


def _instant(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _same(expected: list[datetime], found: list[datetime | None]) -> int:
    return sum(one == other for one, other in zip(expected, found, strict=True))


def _nab(setting: Setting, facts: Table, unseen: Table) -> None:
    root = setting.folder("sensors/nab")
    result, group = _clean(setting, "nab", root)
    kept: list[tuple[datetime, float]] = []
    read = copies = repeated = reversed_ = 0
    for record in group["files"]:
        rows = [(_instant(row["timestamp"]), float(row["value"])) for row in _rows(root / record)]
        distinct = list(dict.fromkeys(rows))
        read, copies = read + len(rows), copies + len(rows) - len(distinct)
        repeated += len(distinct) - len({time for time, _ in distinct})
        reversed_ += sum(later[0] < earlier[0] for earlier, later in pairwise(rows))
        kept += distinct
    (written,) = (frame.collect() for frame in result.tables.values())
    reasons = _reasons(result)
    equal = sum(one == other for one, other in zip(kept, written.select("timestamp", "value").iter_rows(), strict=True))
    pairs: list[tuple[str, Cell, Cell]] = [
        ("series", len(group["files"]), len(group["files"])),
        ("rows", read, group["rows_read"]),
        ("rows that repeat an earlier row of their series", copies, reasons["exact_duplicate"]),
        ("kept rows with the same instant and the same float", len(kept), equal),
    ]
    facts.rows += [("nab", *pair) for pair in pairs]
    unseen.rows.append(["nab", "repeated timestamps with another value", repeated])
    unseen.rows.append(["nab", "timestamps before the one above them", reversed_])
    labels = sum(len(times) for times in json.loads((root / "labels/combined_labels.json").read_text()).values())
    unseen.rows.append(["nab", "labelled anomalies", labels])


def _la_haute_borne(setting: Setting, facts: Table, unseen: Table) -> None:
    path = setting.folder("sensors/la_haute_borne/scada_2014.csv.gz")
    rows = _rows(path)
    empty = [all(not row[name] for name in CHANNELS) for row in rows]
    keys = [(row[KEY[0]], _instant(row[KEY[1]])) for row in rows]
    texts = [tuple(row.values()) for row in rows]
    result, group = _clean(setting, "haute_borne", path)
    by_key, _ = _clean(setting, "haute_borne_keys", path, exact_duplicates__columns=list(KEY))
    seen = set(zip(by_key.kept.select(KEY[0]).collect()[KEY[0]].to_list(), _times(by_key, KEY[1]), strict=True))
    filled = {key for key, nothing in zip(keys, empty, strict=True) if not nothing}
    nothing_kept = [key for key in filled if (key[0], key[1].astimezone(UTC)) not in seen]
    reasons, key_reasons = _reasons(result), _reasons(by_key)
    living = [key for key, nothing in zip(keys, empty, strict=True) if not nothing]
    pairs: list[tuple[str, Cell, Cell]] = [
        ("rows", len(rows), group["rows_read"]),
        ("rows empty in all seven channels", sum(empty), reasons["no_values"]),
        ("rows that repeat an earlier row", len(texts) - len(set(texts)), reasons["exact_duplicate"]),
        ("rows that repeat an earlier key; exact_duplicates.columns set to it", len(keys) - len(set(keys)), key_reasons["exact_duplicate"]),
        ("keys with values of which no row is kept; the same setting", 0, len(nothing_kept)),
        (
            "instants of the rows with values, offsets of two kinds",
            len(living),
            _same([time for _, time in living], _times(result, KEY[1])),
        ),
    ]
    facts.rows += [("la_haute_borne", *pair) for pair in pairs]
    cold = sum(bool(row["Ot_avg"]) and float(row["Ot_avg"]) < -100 for row in rows)
    unseen.rows.append(["la_haute_borne", "outdoor temperatures below -100 °C", cold])


def _pvanalytics(setting: Setting, facts: Table, unseen: Table) -> None:
    for kind in ("stale", "interpolated"):
        path = setting.folder(f"sensors/pvanalytics/ac_power_inv_2173_{kind}_data.csv")
        rows = _rows(path)
        result, group = _clean(setting, f"pvanalytics_{kind}", path)
        blank = sum(not row["value_normalized"] for row in rows)
        facts.rows += [
            [f"pvanalytics, {kind}", "rows", len(rows), group["rows_read"]],
            [f"pvanalytics, {kind}", "rows without a value", blank, _reasons(result)["no_values"]],
        ]
        masked = sum(row[f"{kind}_data_mask"] == "True" for row in rows)
        unseen.rows.append([f"pvanalytics, {kind}", f"values of the mask `{kind}`", masked])
