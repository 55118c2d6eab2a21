"""What the kernels share: one side of a search, sorted by the bits of a band."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

WORD, SHIFT, LENGTH, RADIUS, FOLDED = range(5)
"""Columns of a band: its word, its lowest bit, its bits, how many of them may differ, whether a form turns its word over."""

CROWD = 64

ALL, LATER, SELF = range(3)
"""Which pairs count: all; those whose right row has the higher number; those of a side with itself, each once."""


class Side(NamedTuple):
    """Hashes in the order of a band's keys; equal keys in the order of their rows.

    Attributes
    ----------
    hashes
        uint64[n, words], in the order of the caller.
    columns
        uint64[probes, n]: the first words of the hashes in the band's order; a search looks at no more of most.
    order
        int32[n]: the row of each place.
    keys
        int32[n], rising.
    starts
        int32[keys + 1]: where the bucket of each key begins.
    labels
        int32[n]: the component of each place; empty where none are known.
    beyond
        int32[n]: the next place in another component; empty where none are known.
    crowded
        bool[keys]: whether `CROWD` places of a bucket in a row are in one component; empty where none are known.
    """

    hashes: NDArray[np.uint64]
    columns: NDArray[np.uint64]
    order: NDArray[np.int32]
    keys: NDArray[np.int32]
    starts: NDArray[np.int32]
    labels: NDArray[np.int32]
    beyond: NDArray[np.int32]
    crowded: NDArray[np.bool_]


class Search(NamedTuple):
    """What is near, and where a band's search looks for it.

    Attributes
    ----------
    limit
        Greatest distance.
    forms
        bool[forms, words]: the words that each form turns over; the distance is the least over the forms.
    bands
        int64[bands, 5]; see `RADIUS` and its like.
    number
        The band at work. A pair belongs to the first band that brings it together.
    masks
        int32[masks]: the bits in which a key may differ.
    which
        `ALL`, `LATER` or `SELF`.
    """

    limit: int
    forms: NDArray[np.bool_]
    bands: NDArray[np.int64]
    number: int
    masks: NDArray[np.int32]
    which: int
