"""Labels: records that are copies of one another and yet of different classes, and classes that differ by the spelling of their names.

The label of a file is a part of its path, that of a row a column; captions and annotations beside media are labels too. Copies are the
clusters that other checks have entered; a record that they removed has a label all the same, and it is the majority of a cluster's labels
that is believed, if the recipe says so.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
import polars as pl
from pydantic import Field, field_validator

from tamis.checks.base import Batch, Check, CheckOptions, Kind, MediaBatch, Observation
from tamis.checks.labels.copies import Copies, labels_beside
from tamis.checks.labels.names import alike
from tamis.checks.named import Named
from tamis.names import counted

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tamis.checks.base import Case

    Indices = NDArray[np.int64]

ARCHIVES = (".tar", ".tar.gz", ".tgz", ".tar.zst", ".zip")
_ROW = re.compile(r"\.\w+#\d+$")  # a picture in a row of a table, which may hold all classes
MOST_LABELS = 100_000  # beyond, names are no classes
SHOWN = 8  # labels of one group in a note


class Options(CheckOptions):
    """Options of `labels`."""

    level: str = Field(
        default="parent",
        description="Which part of a file's path is its label: parent (the folder that holds it), a number (1 is the first folder below "
        "the source) or a regular expression whose first group is the label. An archive is no label.",
    )
    column: str = Field(default="", description="Column that is the label of a table's rows, beside media too; none given: rows have none.")
    on_conflict: Literal["note", "reject_minority", "reject_all"] = Field(
        default="note",
        description="What becomes of copies with several labels: all is only noted; one with the label of most stays, and none on a tie; "
        "or none stays.",
    )
    similar_names: bool = Field(
        default=True, description="Whether labels whose names are nearly equal are noted, as in Cats, cats and cat."
    )

    @field_validator("level", mode="before")
    @classmethod
    def _number(cls, level: object) -> object:
        return str(level) if isinstance(level, int) and not isinstance(level, bool) else level

    @field_validator("level")
    @classmethod
    def _possible(cls, level: str) -> str:
        if level != "parent" and not level.isdecimal():
            try:
                groups = re.compile(level).groups
            except re.error as error:
                message = f"it is neither parent nor a number nor a regular expression: {error}"
                raise ValueError(message) from None
            if not groups:
                message = "as a regular expression it needs a group, as in ^([^/]+)_"
                raise ValueError(message)
        elif level == "0":
            message = "folders are counted from 1"
            raise ValueError(message)
        return level

    def named_columns(self) -> dict[str, Named]:
        """Return the column of labels, which must be in a table of the source."""
        return {"column": Named((self.column,), ("text", "number", "datetime", "boolean"), beside=True)} if self.column else {}


class Labels(Check[Options]):
    """Tells of copies with several labels."""

    name = "labels"
    order = 50
    kinds: ClassVar[frozenset[Kind]] = frozenset({"media", "table"})
    summary = (
        "Copies in different class folders, with different values of a label column, or with different captions or annotations beside "
        "them, and class names that are nearly equal."
    )
    Options = Options
    verdict_keys: ClassVar[frozenset[str]] = frozenset({"on_conflict", "similar_names"})

    def observe(self, batch: Batch) -> Observation:
        """Note each record's label, empty where it has none; nothing of tables that have no labels."""
        if isinstance(batch, MediaBatch):
            beside = batch.beside.get(self.options.column, [None] * len(batch))
            labels = [
                label_of(record, self.options.level) if told is None else told for record, told in zip(batch.records, beside, strict=True)
            ]
            sizes = [one.width << 32 | one.height for one in batch.inspections]
            return Observation({"label": pl.Series(labels, dtype=pl.String), "size": pl.Series(sizes, dtype=pl.Int64)})
        column = self.options.column
        if column not in batch.frame.columns or batch.frame.schema[column].is_nested():
            return Observation()
        return Observation({"label": batch.frame[column].cast(pl.String).fill_null("")})

    def judge(self, case: Case) -> None:
        """Tell of clusters with several labels, then of labels with nearly equal names."""
        members, keepers, similarity = case.clustered()
        if len(members):
            self._conflicts(case, Copies.of(members, keepers, similarity))
        if self.options.similar_names:
            _similar_names(case)

    def _conflicts(self, case: Case, copies: Copies) -> None:
        if not case.has("label"):
            case.count(label_conflicts=0)
            return
        labels = case.values("label", copies.records)
        mixed = _mixed(copies.group, _codes(labels))
        case.count(label_conflicts=len(mixed))
        self._settle_all(case, copies, mixed, labels, "label_conflict")
        settled = mixed
        for beside in labels_beside(case, copies):
            codes = _codes(beside)
            own_keepers = np.unique(copies.kept)
            own_keepers = own_keepers[copies.records[own_keepers] < case.own]
            codes[own_keepers[codes[own_keepers] < 0]] = len(codes)  # where the one that stays has none, another's is lost
            mixed = _mixed(copies.group, codes)
            case.count(companion_conflicts=len(mixed))
            if self.options.on_conflict != "note":  # of a group that is settled, another one may stay now
                mixed = np.setdiff1d(mixed, settled)
                settled = np.union1d(settled, mixed)
            self._settle_all(case, copies, mixed, beside, "companion_conflict")

    def _settle_all(self, case: Case, copies: Copies, mixed: Indices, labels: NDArray[Any], reason: str) -> None:
        """Settle each of these groups."""
        order = np.argsort(copies.group, kind="stable")
        starts = np.searchsorted(copies.group[order], mixed, side="left")
        stops = np.searchsorted(copies.group[order], mixed, side="right")
        for start, stop in zip(starts.tolist(), stops.tolist(), strict=True):
            self._settle(case, order[start:stop], copies, labels, reason)

    def _settle(self, case: Case, places: Indices, copies: Copies, labels: NDArray[Any], reason: str) -> None:
        """Note the records of one group that are labelled otherwise than the one that stays, and choose anew which one that is."""
        records, similarity = copies.records, copies.similarity
        keeper = int(copies.kept[places[0]])
        own = records[places] < case.own
        counts = Counter(label for label in labels[places].tolist() if label)
        ordered = [f"{count} x {label}" for label, count in sorted(counts.items(), key=lambda item: (-item[1], item[0]))]
        told = ", ".join([*ordered[:SHOWN], *([f"{len(ordered) - SHOWN} others"] if len(ordered) > SHOWN else [])])
        others = places[own & (labels[places] != labels[keeper]) & (labels[places] != "")]
        case.note(
            records[others],
            reason,
            [
                f"labelled {labels[place]}; the copy that stays is labelled {labels[keeper] or 'not at all'}; all copies: {told}"
                for place in others
            ],
            kept=np.full(len(others), records[keeper]),
            similarity=similarity[others],
        )
        first, *second = counts.most_common(2)
        majority = first[0] if not second or first[1] > second[0][1] else None
        settled = self.options.on_conflict == "note" or records[keeper] >= case.own or not second
        if settled or (self.options.on_conflict == "reject_minority" and labels[keeper] == majority):
            return
        stay = places[own & (labels[places] == majority)] if self.options.on_conflict == "reject_minority" and majority else places[:0]
        lost = records[[keeper]]
        if not len(stay):
            case.reject(lost, reason, f"its copies have several labels: {told}")
            return
        heir = stay[np.lexsort((records[stay], -similarity[stay]))[0]]
        case.reinstate(records[[heir]])
        detail = f"labelled {labels[keeper] or 'not at all'}, and most of its copies {majority}: {told}"
        case.reject(lost, reason, detail, kept=records[[heir]], similarity=similarity[[heir]])


def label_of(record: str, level: str) -> str:
    """Return the label that a record's path gives it; empty where it gives none."""
    if level != "parent" and not level.isdecimal():
        found = re.search(level, record)
        return (found[1] or "") if found else ""
    folders = record.split("/")[:-1]
    if level == "parent":
        if _ROW.search(record):
            return ""
        return folders[-1] if folders and not folders[-1].lower().endswith(ARCHIVES) else ""
    folders = [folder for folder in folders if not folder.lower().endswith(ARCHIVES)]
    return folders[int(level) - 1] if int(level) <= len(folders) else ""


def _codes(labels: NDArray[Any]) -> Indices:
    """Return a number for each label, below that of labels; -1 where there is none."""
    codes = pl.Series(labels, dtype=pl.String).rank("dense").to_numpy().astype(np.int64)
    return np.where(labels == "", -1, codes - 1)


def _mixed(group: Indices, codes: Indices) -> Indices:
    """Return the groups, rising, that hold more than one code of 0 or more."""
    pairs = np.unique(np.stack([group, codes], axis=1)[codes >= 0], axis=0)
    groups, sizes = np.unique(pairs[:, 0], return_counts=True)
    return groups[sizes > 1]


def _similar_names(case: Case) -> None:
    """Note once, on the first record of the smaller of two labels with nearly equal names, how many records both have."""
    counts: Counter[str] = Counter()
    first: dict[str, int] = {}
    for index, (labels,) in case.scan("label"):
        some = pl.DataFrame({"label": pl.Series(labels, dtype=pl.String), "index": index})
        for name, records, least in some.group_by("label").agg(pl.len(), pl.col("index").min()).iter_rows():
            counts[name] += records
            first[name] = min(first.get(name, least), least)
        if len(counts) > MOST_LABELS:
            case.count(too_many_labels=1)
            return
    counts.pop("", None)
    pairs = alike(counts)
    case.count(similar_label_names=len(pairs))
    told = [
        (first[name], f"the label {name!r} ({counted(counts[name], 'records')}) is nearly {other!r} ({counted(counts[other], 'records')})")
        for name, other in pairs
        if first[name] < case.own
    ]
    case.note(np.array([index for index, _ in told], np.int64), "similar_label_names", [said for _, said in told])
