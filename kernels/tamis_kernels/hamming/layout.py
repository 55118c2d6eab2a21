"""What the kernels share: one side of a search, sorted by the bits of a band."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from tamis_kernels.types import Bools, Int32s, Int64s, Uint64s

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

    hashes: Uint64s
    columns: Uint64s
    order: Int32s
    keys: Int32s
    starts: Int32s
    labels: Int32s
    beyond: Int32s
    crowded: Bools


class Piece(NamedTuple):
    """Places of a side on the device, in the order of a band's keys.

    Attributes
    ----------
    hashes
        uint64[n, words].
    columns
        uint64[probes, n]: the first words.
    order, keys, labels
        int32[n], as in a `Side`.
    starts
        int32[keys + 1]: where the bucket of each key from `low` on begins among these places.
    beyond
        int32[n]: the next of these places in another component, or n.
    begin, low
        The first place, and its key; 0 where all are here.
    """

    hashes: Uint64s
    columns: Uint64s
    order: Int32s
    keys: Int32s
    starts: Int32s
    labels: Int32s
    beyond: Int32s
    begin: int
    low: int


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
    forms: Bools
    bands: Int64s
    number: int
    masks: Int32s
    which: int


def empty_side(hashes: Uint64s, band: Int64s, probes: int, labelled: bool) -> Side:
    """Return a side whose arrays are to be filled; `labelled` says whether components will be known."""
    rows, buckets = len(hashes), 1 << int(band[LENGTH])
    columns, order, keys = np.empty((probes, rows), np.uint64), np.empty(rows, np.int32), np.empty(rows, np.int32)
    labels, beyond = (np.empty(rows if labelled else 0, np.int32) for _ in range(2))
    crowded = np.empty(buckets if labelled else 0, np.bool_)
    return Side(hashes, columns, order, keys, np.zeros(buckets + 1, np.int32), labels, beyond, crowded)
