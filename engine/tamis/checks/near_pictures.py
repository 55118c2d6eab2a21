"""Near-duplicate pictures: the hashes that are noted, the search among them, and how clusters are entered in the books.

The eight turned and mirrored forms of a picture are derived from its upright hash (`perceptual.turned`), so that evidence holds four words
a picture whether or not they are looked for.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from tamis.checks.base import Observation
from tamis.checks.keep import ranks
from tamis.clustering import stars
from tamis_kernels import components, hamming, perceptual

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from tamis.checks.base import Case, MediaBatch
    from tamis.clustering import Clusters
    from tamis_kernels.backend import BackendName

    Indices = NDArray[np.int64]

MOST_PIXELS, MOST_BYTES = 2**31 - 1, 2**32 - 1
RESEMBLES = "resembles the record that is kept"
RESEMBLES_TURNED = "resembles the record that is kept, turned or mirrored"
BITS = 256
TURNS = (1, 2, 4, 5, 6, 7)  # variant 3 undoes variant 1, so a pair near in one is near in the other, told from its other end


@dataclass(frozen=True, slots=True)
class PictureRule:
    """When pictures are duplicates.

    Attributes
    ----------
    distance
        Most differing bits, of 256.
    min_quality
        PDQ quality below which a picture is not compared.
    rank_names
        Evidence columns of the keep rules, in order.
    dihedral
        Whether turned and mirrored forms count.
    """

    distance: int
    min_quality: int
    rank_names: Sequence[str]
    dihedral: bool


def observe_pictures(batch: MediaBatch, keep: Sequence[str], backend: BackendName) -> Observation:
    """Note hash, quality and ranks of each picture; of what shows none, quality 0."""
    seen = [(i, one) for i, one in enumerate(batch.inspections) if one.gray is not None and one.grade in {"ok", "benign", "misnamed"}]
    hashes = np.zeros((len(batch), 4), np.uint64)
    quality = np.zeros(len(batch), np.uint8)
    if seen:
        pixels, shapes = perceptual.pack([one.gray for _, one in seen if one.gray is not None])
        places = [i for i, _ in seen]
        extents = np.array([one.extent for _, one in seen], np.int64)
        hashes[places], quality[places] = perceptual.pdq_batch(pixels, shapes, extents=extents, backend=backend)
    columns = {f"pdq_{word}": pl.Series(hashes[:, word]) for word in range(4)}
    columns["quality"] = pl.Series(quality)
    pixels_of = np.array([one.width * one.height for one in batch.inspections], np.int64)
    size = (np.minimum(pixels_of, MOST_PIXELS) << 32) | np.minimum(batch.sizes, MOST_BYTES)
    return Observation(columns | ranks(keep, batch, size))


def judge_pictures(case: Case, rule: PictureRule, backend: BackendName) -> None:
    """Cluster the living pictures and reject all but the keepers."""
    pictures = [*zip(*case.scan("quality", *(f"pdq_{word}" for word in range(4)), *rule.rank_names), strict=True)]
    index = np.concatenate(pictures[0])
    quality, *columns = (np.concatenate(column) for column in zip(*pictures[1], strict=True))
    plain = quality < max(1, rule.min_quality)
    chosen = np.flatnonzero(~plain)
    chosen = chosen[standing(case, index[chosen], [column[chosen] for column in columns[4:]])]
    index, hashes = index[chosen], np.stack(columns[:4], axis=1)[chosen]

    def similarity(left: Indices, right: Indices) -> NDArray[np.float64]:
        return 1.0 - _apart(hashes, left, right, backend, dihedral=rule.dihedral) / BITS

    settled = int(np.count_nonzero(index >= case.own))
    clusters = stars(_components(hashes, rule, backend), similarity, 1.0 - rule.distance / BITS, settled=settled)
    upright = _apart(hashes, clusters.keeper, np.arange(len(index)), backend, dihedral=False) <= rule.distance
    enter(case, index, clusters, "near_duplicate_picture", RESEMBLES, turned=~upright)
    case.count(pictures_compared=len(index), pictures_too_plain=int(np.count_nonzero(plain & (quality > 0))))


def _apart(hashes: NDArray[np.uint64], left: Indices, right: Indices, backend: BackendName, *, dihedral: bool) -> NDArray[np.int32]:
    """Return the bits that differ between pairs; where forms count, between the left and the nearest form of the right."""
    if not dihedral:
        return hamming.distances(hashes[left], hashes[right], backend=backend)
    forms = perceptual.turned(hashes[right], backend=backend)
    apart = [hamming.distances(hashes[left], np.ascontiguousarray(forms[:, form]), backend=backend) for form in range(forms.shape[1])]
    nearest: NDArray[np.int32] = np.minimum.reduce(apart)
    return nearest


def _components(hashes: NDArray[np.uint64], rule: PictureRule, backend: BackendName) -> Indices:
    """Join all pairs within the distance, form by form: memory holds the hashes twice, whatever the number of forms."""
    parent = np.arange(len(hashes), dtype=np.int64)
    for left, right, _ in hamming.pair_chunks(hashes, rule.distance, backend=backend):
        components.union(parent, left, right)
    for form in TURNS if rule.dihedral else ():
        forms = perceptual.turned(hashes, backend=backend)[:, form]
        for left, right, _ in hamming.pair_chunks(np.concatenate([hashes, forms]), rule.distance, backend=backend):
            across = (left < len(hashes)) & (right >= len(hashes))
            components.union(parent, left[across], right[across] - len(hashes))
    return components.roots(parent)


def standing(case: Case, index: Indices, ranks: Sequence[Indices]) -> Indices:
    """Return the order in which records have the right to stay: those of earlier runs first, for they are kept already."""
    return np.lexsort((index, *reversed(ranks), index < case.own))


def enter(
    case: Case,
    index: Indices,
    clusters: Clusters,
    reason: str,
    detail: str,
    *,
    earlier: str | None = None,
    turned: NDArray[np.bool_] | None = None,
) -> None:
    """Enter clusters with a record of this run in them, and reject those of its records that are no keepers.

    `earlier` is the detail where an earlier run's record stays; `turned` bool[n] marks those that are like their keepers turned alone.
    """
    keeper = index[clusters.keeper]
    gone = np.flatnonzero((clusters.keeper != np.arange(len(index))) & (index < case.own))
    members = np.isin(clusters.keeper, clusters.keeper[gone])
    case.clusters(index[members], keeper[members], clusters.similarity[members])
    gone = gone[np.argsort(index[gone])]
    of_earlier = keeper[gone] >= case.own
    other = np.zeros(len(gone), bool) if turned is None else turned[gone]
    parts = (
        (gone[~other & ~of_earlier], detail),
        (gone[~other & of_earlier], earlier or detail),
        (gone[other], RESEMBLES_TURNED),
    )
    for some, said in parts:
        if len(some):
            case.reject(index[some], reason, said, kept=keeper[some], similarity=clusters.similarity[some])
