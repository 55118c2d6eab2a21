"""How signatures are cut into bands: by the threshold, or by the share of the pairs of this very corpus that is to be found.

A pair of similarity J meets in at least one of b bands of r slots with probability S(J) = 1 - (1 - J^r)^b (J. Leskovec, A. Rajaraman,
J. Ullman, Mining of Massive Datasets, chapter 3).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tamis.errors import ArgumentError
from tamis_kernels import bands, groups

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tamis_kernels.backend import AnyBackend

# Candidates are verified, so one too many costs a comparison and one too few a duplicate: the bands lean far towards recall.
FALSE_POSITIVE_WEIGHT, FALSE_NEGATIVE_WEIGHT = 0.05, 0.95
PROBE_ROWS = 4
PROBE_BANDS = 8
PROBE_PAIRS = 2_000  # a band


@dataclass(frozen=True, slots=True)
class Histogram:
    """Estimated numbers of pairs by similarity: `weight[i]` pairs of similarity `similarity[i]`, both float64[m]."""

    similarity: NDArray[np.float64]
    weight: NDArray[np.float64]

    def expected(self, threshold: float, count: int, rows: int) -> tuple[float, float]:
        """Return the recall and the precision of candidates that a shape should have; NaN where there is nothing to tell them by."""
        found = self.weight * meeting(self.similarity, count, rows)
        alike = self.similarity >= threshold
        with np.errstate(invalid="ignore", divide="ignore"):
            return float(found[alike].sum() / self.weight[alike].sum()), float(found[alike].sum() / found.sum())


@dataclass(frozen=True, slots=True)
class Estimate:
    """A share and its 95 % interval."""

    share: float
    low: float
    high: float


def meeting(similarity: NDArray[np.float64], count: int, rows: int) -> NDArray[np.float64]:
    """Return the probability that pairs of these similarities share at least one of `count` bands of `rows` slots."""
    return 1.0 - (1.0 - similarity**rows) ** count


def band_shape(threshold: float, num_perm: int) -> tuple[int, int]:
    """Return how many bands of how many slots propose the pairs that are then verified: at 0.8 and 128 slots, 95 % of those at 0.8."""
    return bands.optimal(threshold, num_perm, FALSE_POSITIVE_WEIGHT, FALSE_NEGATIVE_WEIGHT)


def certain_shape(threshold: float, num_perm: int, recall: float) -> tuple[int, int]:
    """Return the shape with the most rows, that is the fewest candidates, whose recall at the threshold itself is at least `recall`.

    Pairs above the threshold are found more surely, so this holds for any corpus.

    Raises
    ------
    ArgumentError
        No shape of `num_perm` slots reaches it.
    """
    for rows in range(num_perm, 0, -1):
        count = num_perm // rows
        if meeting(np.array([threshold]), count, rows)[0] >= recall:
            return count, rows
    message = f"recall {recall} cannot be reached at threshold {threshold} with {num_perm} slots; raise num_perm or lower one of them"
    raise ArgumentError(message)


def sampled_histogram(
    signatures: NDArray[np.uint32], records: NDArray[np.int64], *, seed: int = 1, backend: AnyBackend = "auto"
) -> Histogram:
    """Estimate how many pairs of each similarity there are from pairs that meet in loose bands of four slots.

    In each of eight bands up to 2,000 of the pairs that meet are drawn. A pair of similarity J is in a band with probability J⁴ and counts
    as the inverse of that. J itself is told from the slots outside the band, on which its being drawn does not depend.

    Parameters
    ----------
    signatures
        uint32[n, k], k at least 8; may lie on disk.
    records
        int64[m], the rows that take part.
    seed
        Draws the pairs.
    """
    random = np.random.default_rng(seed)
    probes = min(PROBE_BANDS, signatures.shape[1] // (2 * PROBE_ROWS))
    found: list[tuple[NDArray[np.float64], NDArray[np.float64]]] = []
    for probe in range(probes):
        slots = slice(probe * PROBE_ROWS, (probe + 1) * PROBE_ROWS)
        keys = bands.keys(np.ascontiguousarray(signatures[:, slots][records]), bands=1, rows=PROBE_ROWS, backend=backend)[:, 0]
        order, starts = groups.sort_by_key(np.ascontiguousarray(keys), backend=backend)
        sizes = np.diff(starts)
        pairs = sizes * (sizes - 1) / 2
        if not pairs.sum():
            continue
        bucket = random.choice(sizes.size, PROBE_PAIRS, p=pairs / pairs.sum())
        one = (random.random(PROBE_PAIRS) * sizes[bucket]).astype(np.int64)
        other = (random.random(PROBE_PAIRS) * (sizes[bucket] - 1)).astype(np.int64)
        other += other >= one
        left, right = (records[order[starts[bucket] + place]] for place in (one, other))
        equal = signatures[left] == signatures[right]
        equal[:, slots] = False
        similarity = equal.sum(axis=1) / (signatures.shape[1] - PROBE_ROWS)
        told = similarity > 0
        chance = np.maximum(similarity[told], 1 / signatures.shape[1]) ** PROBE_ROWS
        found.append((similarity[told], pairs.sum() / PROBE_PAIRS / probes / chance))
    if not found:
        return Histogram(np.empty(0), np.empty(0))
    similarity, weight = (np.concatenate(column) for column in zip(*found, strict=True))
    return Histogram(similarity, weight)


def chosen_shape(
    histogram: Histogram, threshold: float, num_perm: int, recall: float, precision: float | None = None
) -> tuple[tuple[int, int], tuple[float, float]]:
    """Return the shape with the most precise candidates that reaches the recall, and its expected recall and precision.

    Without a pair above the threshold in the histogram it is `certain_shape`.

    Raises
    ------
    ArgumentError
        No shape of `num_perm` slots reaches the goal; the message tells the best.
    """
    if not np.any(histogram.similarity >= threshold):
        shape = certain_shape(threshold, num_perm, recall)
        return shape, histogram.expected(threshold, *shape)
    shapes = [(num_perm // rows, rows) for rows in range(1, num_perm + 1)]
    scored = [(histogram.expected(threshold, *shape), shape) for shape in shapes]
    able = [one for one in scored if one[0][0] >= recall and (precision is None or one[0][1] >= precision)]
    if not able:
        best = max(scored, key=lambda one: (min(one[0][0], recall), one[0][1]))
        message = (
            f"recall {recall}{'' if precision is None else f' and precision {precision}'} cannot be reached with {num_perm} slots: "
            f"the best is {best[1][0]} bands of {best[1][1]} with {best[0][0]:.3f} and {best[0][1]:.3f}; raise num_perm"
        )
        raise ArgumentError(message)
    expected, shape = max(able, key=lambda one: (one[0][1], one[0][0]))
    return shape, expected


def estimated_recall(similarity: NDArray[np.float64], count: int, rows: int) -> Estimate | None:
    """Estimate which share of the pairs that there are a run has found, from the similarities of those that it found.

    Each found pair stands for 1 / S(J) pairs (D. Horvitz, D. Thompson, 1952); the interval is of 95 %. None where nothing was found.
    """
    known = similarity[~np.isnan(similarity)]
    if not known.size:
        return None
    chance = np.maximum(meeting(known, count, rows), 1e-9)
    total = float((1 / chance).sum())
    spread = 1.96 * float(np.sqrt(((1 - chance) / chance**2).sum()))
    return Estimate(known.size / total, known.size / (total + spread), min(1.0, known.size / max(known.size, total - spread)))
