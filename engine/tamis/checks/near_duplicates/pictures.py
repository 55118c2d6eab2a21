"""Near-duplicate pictures: the hashes that are noted, the search among them, and how clusters are entered in the books.

The eight turned and mirrored forms of a picture are derived from its upright hash (`perceptual.turned`), so that evidence holds four words
a picture whether or not they are looked for. Hashes tell signs of frequencies alone: pictures whose hashes are near are compared by small
grey pictures before they are joined.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from itertools import chain, product
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
from PIL import Image

from tamis.checks.base import Observation
from tamis.checks.near_duplicates.keep import ranks
from tamis.media.inspection import CELL
from tamis.near.clustering import PAIRS_AT_A_TIME, band_components, stars
from tamis_kernels import components, hamming, perceptual

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

    from tamis.checks.base import Case, MediaBatch
    from tamis.media import Inspection
    from tamis.near.clustering import Clusters, Similarity
    from tamis_kernels.backend import BackendName

    Indices = NDArray[np.int64]
    Accept = Callable[[Indices, Indices], NDArray[np.bool_]]

MOST_PIXELS, MOST_BYTES = 2**31 - 1, 2**32 - 1
RESEMBLES = "resembles the record that is kept"
RESEMBLES_TURNED = "resembles the record that is kept, turned or mirrored"

# Of each hash: its 64-bit words, the distance that suits it, the greatest that makes sense.
HASHES = {"pdq": (4, 31, 127), "phash64": (1, 10, 16)}


@dataclass(frozen=True, slots=True)
class PictureRule:
    """When pictures are duplicates.

    Attributes
    ----------
    hash_name
        A key of `HASHES`.
    distance
        Most differing bits.
    min_quality
        PDQ quality below which a picture is not compared.
    rank_names
        Evidence columns of the keep rules, in order.
    dihedral
        Whether turned and mirrored forms count.
    likeness
        Least likeness of the small pictures; 0: hashes alone decide.
    cap
        Pictures joined by their hashes above which only some of their pairs are verified; see `_verified`.
    """

    hash_name: str
    distance: int
    min_quality: int
    rank_names: Sequence[str]
    dihedral: bool
    likeness: float
    cap: int


def hash_columns(name: str) -> list[str]:
    """Return the evidence columns of a hash."""
    return [f"{name}_{word}" for word in range(HASHES[name][0])]


def observe_pictures(batch: MediaBatch, hash_name: str, keep: Sequence[str], backend: BackendName, *, small: bool) -> Observation:
    """Note hash, quality and ranks of each picture, and the small picture if wanted; of what shows none, or several, quality 0."""
    hashes, quality, pictures = hash_pictures(batch.inspections, hash_name, backend)
    quality[[_has_several(one) for one in batch.inspections]] = 0  # the hash is the first one's and tells nothing of the others
    columns = {name: pl.Series(hashes[:, word]) for word, name in enumerate(hash_columns(hash_name))}
    columns["quality"] = pl.Series(quality)
    if small:
        columns["small"] = pl.Series(pictures)
    pixels_of = np.array([one.width * one.height for one in batch.inspections], np.int64)
    size = (np.minimum(pixels_of, MOST_PIXELS) << 32) | np.minimum(batch.sizes, MOST_BYTES)
    return Observation(columns | ranks(keep, batch, size))


def shows(one: Inspection) -> bool:
    """Say whether a file shows a picture that can be compared."""
    return one.has_picture and one.grade in {"ok", "benign", "misnamed"}


def _has_several(one: Inspection) -> bool:
    """Say whether a file holds pages or an animation; the frames of a PSD are the layers of one picture."""
    return one.frames > 1 and one.format != "psd"


def hash_pictures(
    inspections: Sequence[Inspection], hash_name: str, backend: BackendName
) -> tuple[NDArray[np.uint64], NDArray[np.uint8], NDArray[np.uint8]]:
    """Return hashes uint64[n, words], PDQ qualities uint8[n] and small pictures uint8[n, 256]; of what shows no picture, zeros."""
    seen = [(i, one) for i, one in enumerate(inspections) if shows(one)]
    hashes = np.zeros((len(inspections), 4), np.uint64)
    quality = np.zeros(len(inspections), np.uint8)
    pictures = np.zeros((len(inspections), 256), np.uint8)
    for i, one in seen:
        if one.told is not None:
            hashes[i], quality[i], pictures[i] = one.told.hash, one.told.quality, one.told.small
    here = [(i, one) for i, one in seen if one.gray is not None]
    if here:
        pixels, shapes = perceptual.pack([one.gray for _, one in here if one.gray is not None])
        places = [i for i, _ in here]
        extents = np.array([one.extent for _, one in here], np.int64)
        hashes[places], quality[places], pictures[places] = perceptual.describe(pixels, shapes, extents=extents, backend=backend)
        if hash_name == "phash64":
            hashes[places, 0] = perceptual.phash64(np.stack([_shrunk(one) for _, one in here]), backend=backend)
    return hashes[:, : HASHES[hash_name][0]], quality, pictures


def _shrunk(one: Inspection) -> NDArray[np.uint8]:
    """Return the grey picture of 32 x 32 as imagehash shrinks it; of cells, those at the border count by the pixels they hold."""
    assert one.gray is not None
    height, width = one.extent if one.gray.shape == one.extent else (side / CELL for side in one.extent)
    picture = Image.fromarray(one.gray).resize((32, 32), Image.Resampling.LANCZOS, box=(0, 0, width, height))
    return np.asarray(picture)


def judge_pictures(case: Case, rule: PictureRule, backend: BackendName) -> None:
    """Cluster the living pictures and reject all but the keepers."""
    words = hash_columns(rule.hash_name)
    bits = 64 * len(words)
    pictures = [*zip(*case.scan("quality", *words, *rule.rank_names), strict=True)]
    index = np.concatenate(pictures[0])
    quality, *columns = (np.concatenate(column) for column in zip(*pictures[1], strict=True))
    hashed = np.stack(columns[: len(words)], axis=1)
    plain = (quality < max(1, rule.min_quality)) | ~hashed.any(axis=1)  # no bit is set of what is the same all along an axis
    chosen = np.flatnonzero(~plain)
    case.count(pictures_compared=len(chosen), pictures_too_plain=int(np.count_nonzero(plain & (quality > 0))))
    chosen = chosen[standing(case, index[chosen], [column[chosen] for column in columns[len(words) :]])]
    index, hashes = index[chosen], hashed[chosen]
    roots = _components(hashes, rule, None, backend)
    suspects = np.flatnonzero(np.bincount(roots, minlength=len(roots))[roots] > 1)
    index, hashes, roots = index[suspects], hashes[suspects], np.searchsorted(suspects, roots[suspects])
    small = _small_pictures(case, index) if rule.likeness and len(index) else None

    def similarity(left: Indices, right: Indices) -> NDArray[np.float64]:
        apart, form = _nearest(hashes, left, right, rule, backend)
        if small is None:
            return 1.0 - apart / bits
        alike = perceptual.likeness(small[left], _turn(small[right], form), backend=backend)
        return np.where(apart <= rule.distance, alike, 0.0)

    least = 1.0 - rule.distance / bits if small is None else rule.likeness
    if small is not None:
        roots, counters = _verified(hashes, roots, similarity, rule, backend)
        case.count(**counters)
    settled = int(np.count_nonzero(index >= case.own))
    clusters = stars(roots, similarity, least, settled=settled)
    turned = hamming.distances(hashes[clusters.keeper], hashes, backend=backend) > rule.distance
    enter(case, index, clusters, "near_duplicate_picture", RESEMBLES, turned=turned)


def _verified(
    hashes: NDArray[np.uint64], roots: Indices, similarity: Similarity, rule: PictureRule, backend: BackendName
) -> tuple[Indices, dict[str, int]]:
    """Join the pictures within the distance that are alike, and count what was left out.

    What hashes join is verified pair by pair, which takes the square of a crowd whose pictures are not alike. A crowd above the cap is a
    hot bucket: its best record meets all others, then those that share 16 bits of their upright hashes, a few rounds each.
    """
    crowded = np.bincount(roots, minlength=len(roots))[roots] > rule.cap
    few, many = np.flatnonzero(~crowded), np.flatnonzero(crowded)
    joined = np.empty(len(roots), np.int64)
    joined[few] = few[_components(hashes[few], rule, lambda left, right: similarity(few[left], few[right]) >= rule.likeness, backend)]

    def bands() -> Iterator[tuple[NDArray[np.uint64], Indices]]:
        members, crowd = np.arange(len(many)), roots[many].astype(np.uint64)
        yield crowd, members
        for word, shift in product(range(hashes.shape[1]), np.arange(0, 64, 16, dtype=np.uint64)):
            yield crowd << np.uint64(16) | hashes[many, word] >> shift & np.uint64(0xFFFF), members

    found, counters = band_components(
        len(many), bands(), lambda left, right: similarity(many[left], many[right]), rule.likeness, hot=rule.cap, backend=backend
    )
    joined[many] = many[found]
    crowds = len(np.unique(roots[many]))
    return joined, {"picture_crowds_cut": crowds, "pictures_unsettled": counters["unsettled"]}


def _small_pictures(case: Case, index: Indices) -> NDArray[np.uint8]:
    """Return the small pictures of records, in their order."""
    rising = np.argsort(index)
    pictures = np.empty((len(index), 256), np.uint8)
    pictures[rising] = case.values("small", index[rising])
    return pictures


def _turn(pictures: NDArray[np.uint8], form: Indices) -> NDArray[np.uint8]:
    """Return small pictures, each turned into one of the eight forms, in the order of `perceptual.dihedral`."""
    turned = pictures.reshape(-1, 16, 16).copy()
    for number in range(1, 8):
        chosen = turned[form == number]
        if len(chosen):
            back = slice(None, None, -1)
            flipped = {4: chosen[:, back], 5: chosen[:, :, back], 6: chosen.swapaxes(1, 2), 7: chosen[:, back, back].swapaxes(1, 2)}
            turned[form == number] = flipped[number] if number in flipped else np.rot90(chosen, number, (1, 2))
    return turned.reshape(-1, 256)


def _nearest(hashes: NDArray[np.uint64], left: Indices, right: Indices, rule: PictureRule, backend: BackendName) -> tuple[Indices, Indices]:
    """Return the bits that differ between the left and the nearest form of the right, and the number of that form."""
    if not rule.dihedral:
        apart = hamming.distances(hashes[left], hashes[right], backend=backend)
        return apart.astype(np.int64), np.zeros(len(left), np.int64)
    forms = perceptual.turned(hashes[right], backend=backend)
    each = np.bitwise_count(forms ^ hashes[left][:, None]).sum(axis=2, dtype=np.int64)
    return each.min(axis=1), each.argmin(axis=1)


def _components(hashes: NDArray[np.uint64], rule: PictureRule, accept: Accept | None, backend: BackendName) -> Indices:
    """Join all pairs within the distance that are accepted: flips in one search, turns by a quarter in another."""
    parent = np.arange(len(hashes), dtype=np.int64)
    search = partial(hamming.pair_chunks, limit=rule.distance, joined=parent, chunk=PAIRS_AT_A_TIME, backend=backend)
    if not rule.dihedral:
        searches = [search(hashes)]
    elif hashes.shape[1] == 1:
        forms = perceptual.turned(hashes, backend=backend)
        searches = [search(hashes), *(search(hashes, against=forms[:, form], half=True) for form in range(1, 8))]
    else:
        parted = perceptual.parted(hashes, backend=backend)
        quarter = perceptual.transposed(parted, backend=backend)
        searches = [search(parted, forms=perceptual.FLIPS), search(parted, forms=perceptual.FLIPS, against=quarter, half=True)]
    for left, right, _ in chain.from_iterable(searches):
        good = slice(None) if accept is None else accept(left, right)
        components.union(parent, left[good], right[good])
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
