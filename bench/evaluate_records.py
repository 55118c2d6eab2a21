"""Near-duplicate records: clusters of texts against known entities, by threshold, and what the recipe `auto` does to the same tables."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import polars as pl
import xxhash
from datasketch import MinHash, MinHashLSH
from evaluate_common import PairScore, Setting, Table, score_pairs

import tamis
from tamis_kernels import components

THRESHOLDS = (0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)


@dataclass(frozen=True, slots=True)
class Records:
    """A table of records, the entity of each, and the files it came from."""

    name: str
    text: pl.Series
    entity: list[str]
    files: tuple[Path, ...]


def corpora(setting: Setting) -> Iterator[Records]:
    """Read the record sets; the text of a record is its columns joined by a space."""
    root = setting.folder("records")
    cora = _read(root / "cora/cora.csv", separator="|", quote_char=None)
    texts = [name for name in cora.columns if name != "Entity Id" and cora[name].null_count() < len(cora)]
    yield Records(
        "cora", _joined(cora, texts), _components(cora["Entity Id"].to_list(), root / "cora/truth_pairs.csv"), (root / "cora/cora.csv",)
    )
    for number in (1,) if setting.quick else (1, 2, 3):
        yield _febrl(f"febrl {number}", root / f"febrl/dataset{number}.csv")
    if not setting.quick:
        yield _febrl("febrl 4a + 4b", root / "febrl/dataset4a.csv", root / "febrl/dataset4b.csv")
    path = root / "chicago_childcare/input_with_true_ids.csv"
    sites = _read(path)
    yield Records("chicago_childcare", _joined(sites, ["Site name", "Address", "Zip", "Phone"]), sites["True Id"].to_list(), (path,))
    path = root / "patstat/patstat_input.csv"
    holders = _read(path).join(_read(root / "patstat/patstat_reference.csv"), on="person_id", how="left", maintain_order="left")
    yield Records("patstat", _joined(holders, ["Name"]), holders["leuven_id"].to_list(), (path,))


def _read(path: Path, *, separator: str = ",", quote_char: str | None = '"') -> pl.DataFrame:
    return pl.read_csv(path, separator=separator, quote_char=quote_char, infer_schema=False)


def _joined(frame: pl.DataFrame, columns: Sequence[str]) -> pl.Series:
    return frame.select(pl.concat_str(pl.col(columns), separator=" ", ignore_nulls=True).alias("text")).to_series()


def _febrl(name: str, *files: Path) -> Records:
    frame = pl.concat([_read(path).rename(str.strip) for path in files])
    person = frame["rec_id"].str.split("-").list.get(1).to_list()
    return Records(name, _joined(frame, [column for column in frame.columns if column != "rec_id"]), person, files)


def _components(ids: Sequence[str], pairs: Path) -> list[str]:
    """Return for each id the least id that the pairs join it to."""
    parent = {one: one for one in ids}

    def root(one: str) -> str:
        while parent[one] != one:
            one = parent[one] = parent[parent[one]]
        return one

    for left, right in (line.split("|") for line in pairs.read_text().split()):
        first, second = sorted((root(left), root(right)))
        parent[second] = first
    return [root(one) for one in ids]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a clustering does to a table: its pairs, and the rows that go."""

    pairs: PairScore
    removed: int
    wrongly: int
    lost: int


def outcome(entity: Sequence[str], keeper: np.ndarray) -> Outcome:
    """Score a clustering given as the row that stays for each row."""
    known = np.unique(np.asarray(entity), return_inverse=True)[1]
    rows = np.arange(len(entity))
    stays = keeper == rows
    wrongly = int(np.count_nonzero(known != known[keeper]))
    lost = np.unique(known).size - np.unique(known[stays]).size
    return Outcome(score_pairs(known.tolist(), keeper.tolist()), int(np.count_nonzero(~stays)), wrongly, int(lost))


def evaluate(setting: Setting) -> Iterator[Table]:
    """Yield the tables of this part."""
    sets = list(corpora(setting))
    grid = Table("Records: pairwise F1 by threshold, character 3-grams", ["records", *(f"{one}" for one in THRESHOLDS)])
    columns = [
        "rows",
        "entities",
        "true pairs",
        "threshold",
        "precision",
        "recall",
        "F1",
        "rows removed",
        "for another entity",
        "entities lost",
    ]
    best = Table("Records: the threshold of the best F1, and 0.8", ["records", *columns])
    for one in sets:
        found = {threshold: outcome(one.entity, _keepers(one.text, threshold)) for threshold in THRESHOLDS}
        grid.rows.append([one.name, *(found[threshold].pairs.f1 for threshold in THRESHOLDS)])
        top = max(THRESHOLDS, key=lambda threshold: found[threshold].pairs.f1)
        for threshold in sorted({top, 0.8}):
            best.rows.append([one.name, len(one.entity), len(set(one.entity)), *_figures(found[threshold], f"{threshold}")])
    best.remarks.append(
        "`for another entity`: removed although the row that stays for it is of another entity; `entities lost`: no row of theirs is left. "
        "The best thresholds were chosen on the data they are scored on."
    )
    yield grid
    yield best
    yield _beside_datasketch(sets)
    yield _auto(setting, sets)


def _keepers(text: pl.Series, threshold: float) -> np.ndarray:
    found = tamis.near_duplicates(text.to_frame(), threshold=threshold, unit="char", ngram=3)
    return found.select(pl.coalesce("cluster", "row")).to_series().to_numpy()


def _beside_datasketch(sets: Sequence[Records]) -> Table:
    """Score tamis and datasketch's index with union-find over all its candidates, at the threshold that is best for each."""
    columns = ["tamis at", "pairs F1", "clusters F1", "datasketch at", "its pairs F1", "its clusters F1"]
    table = Table("Records: tamis beside datasketch MinHashLSH with union-find, character 3-grams", ["records", *columns])
    for one in sets:
        sketches = _sketches(one.text)
        row: list[str | int | float] = [one.name]
        engines: tuple[Callable[[float], np.ndarray], ...] = (partial(_keepers, one.text), partial(_by_datasketch, sketches))
        for engine in engines:
            scored = []
            for threshold in THRESHOLDS:
                keeper = engine(threshold)
                scored.append((score_pairs(one.entity, keeper.tolist()).f1, threshold, keeper))
            f1, threshold, keeper = max(scored, key=lambda item: item[0])
            row += [f"{threshold}", f1, cluster_f1(one.entity, keeper.tolist())]
        table.rows.append(row)
    table.remarks.append(
        "Clusters F1 counts clusters, single records among them, that are exactly an entity. Each engine has its own best threshold."
    )
    return table


def cluster_f1(truth: Sequence[str], found: Sequence[int]) -> float:
    """Return the F1 of clusters that are exactly right."""
    sides = []
    for labels in (truth, found):
        groups: dict[object, list[int]] = {}
        for row, label in enumerate(labels):
            groups.setdefault(label, []).append(row)
        sides.append({tuple(rows) for rows in groups.values()})
    return 2 * len(sides[0] & sides[1]) / (len(sides[0]) + len(sides[1]))


def _sketches(text: pl.Series) -> list[MinHash]:
    made = []
    for one in text.to_list():
        plain = " ".join((one or "").lower().split())
        made.append(MinHash(num_perm=128, hashfunc=xxhash.xxh32_intdigest))
        made[-1].update_batch([plain[i : i + 3].encode() for i in range(max(1, len(plain) - 2))])
    return made


def _by_datasketch(sketches: Sequence[MinHash], threshold: float) -> np.ndarray:
    index = MinHashLSH(threshold=threshold, num_perm=128)
    parent = np.arange(len(sketches))
    for number, sketch in enumerate(sketches):
        for other in index.query(sketch):
            components.union(parent, np.array([number]), np.array([other]))
        index.insert(number, sketch)
    return components.roots(parent)


def _figures(found: Outcome, threshold: str) -> list[str | int | float]:
    pairs = found.pairs
    return [pairs.true, threshold, pairs.precision, pairs.recall, pairs.f1, found.removed, found.wrongly, found.lost]


def _auto(setting: Setting, sets: Sequence[Records]) -> Table:
    """Clean each table with the recipe `auto`, which compares one column of long texts by word 5-grams, or none."""
    table = Table("Records: the recipe auto on the same tables", ["records", "rows", "rows removed", "for another entity", "entities lost"])
    for number, one in enumerate(sets):
        result = tamis.check(list(one.files), setting.work / f"auto_{number}", jobs=setting.jobs)
        sizes = [_rows_of(one, path) for path in one.files]
        first = dict(zip([path.name for path in one.files], np.cumsum([0, *sizes[:-1]]).tolist(), strict=True))
        assert result.manifest["counts"]["read"] == len(one.entity), (one.name, result.manifest["counts"])
        keeper = np.arange(len(one.entity))
        for record, kept in result.rejected.filter(pl.col("kept").is_not_null()).select("record", "kept").collect().iter_rows():
            keeper[_place(record, first)] = _place(kept, first)
        found = outcome(one.entity, keeper[keeper])  # the keeper of an exact copy may itself go for a near-duplicate
        table.rows.append([one.name, len(one.entity), found.removed, found.wrongly, found.lost])
    return table


def _rows_of(one: Records, path: Path) -> int:
    return len(one.entity) if len(one.files) == 1 else _read(path).height


def _place(record: str, first: dict[str, int]) -> int:
    name, _, row = record.rpartition("#")
    return first[name] + int(row)
