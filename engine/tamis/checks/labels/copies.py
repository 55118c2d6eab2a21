"""Groups of copies, and what is said beside each member of one."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from posixpath import splitext
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from tamis.checks.labels.beside import NOT_LABELS, Said, said
from tamis_kernels import components

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from tamis.checks.base import Case

    Indices = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Copies:
    """Records that are copies, each at a place.

    Attributes
    ----------
    records
        int64[n]: their numbers, rising.
    group
        int64[n]: which group of copies each is in.
    kept
        int64[n]: the place of the record that stays for each in the end: a keeper of one cluster may be removed by a later check, and then
        another one stays for all of the first cluster.
    similarity
        float64[n]: the least similarity on the way to it.
    """

    records: Indices
    group: Indices
    kept: Indices
    similarity: NDArray[np.float64]

    @classmethod
    def of(cls, members: Indices, keepers: Indices, similarity: NDArray[np.float64]) -> Self:
        """Return the copies that clusters hold, in the order in which these were entered."""
        records, places = np.unique(np.concatenate([members, keepers]), return_inverse=True)
        member, keeper = places[: len(members)], places[len(members) :]
        parent = np.arange(len(records))
        components.union(parent, member, keeper)
        kept, least = np.arange(len(records)), np.ones(len(records))
        gone = member != keeper
        kept[member[gone]], least[member[gone]] = keeper[gone], similarity[gone]
        while (kept != kept[kept]).any():
            least = np.minimum(least, least[kept])
            kept = kept[kept]
        return cls(records, components.roots(parent), kept, least)


def labels_beside(case: Case, copies: Copies) -> Iterator[NDArray[Any]]:
    """Yield for each kind of companions, such as `.txt`, what each record is labelled: `as in` the first of its group that says so."""
    kinds: dict[str, dict[int, list[tuple[str, Said]]]] = defaultdict(lambda: defaultdict(list))
    for index, name, data in case.companions(copies.records):
        kind = splitext(name)[1].lower().replace(".yml", ".yaml")
        if kind not in NOT_LABELS:
            kinds[kind][int(np.searchsorted(copies.records, index))].append((name, said(name, data)))
    sizes = case.values("size", copies.records) if kinds else np.empty(0, np.int64)
    for _, found in sorted(kinds.items()):
        sizes_of: dict[int, set[int]] = defaultdict(set)
        for place in found:
            sizes_of[int(copies.group[place])].add(int(sizes[place]))
        labels = np.full(len(copies.records), "", object)
        first: dict[tuple[int, tuple[bytes, ...]], str] = {}
        for place, told in sorted(found.items()):
            group = int(copies.group[place])
            content = tuple(sorted(one.whole if len(sizes_of[group]) == 1 else one.words for _, one in told))
            labels[place] = first.setdefault((group, content), f"as in {', '.join(name for name, _ in told)}")
        yield labels
