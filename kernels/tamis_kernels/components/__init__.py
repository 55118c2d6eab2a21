"""Connected components by union-find, in place: the edges come in any number of pieces and are never stored."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tamis_kernels.arrays import check_array, read_only
from tamis_kernels.backend import implementation
from tamis_kernels.errors import ArgumentError

if TYPE_CHECKING:
    from tamis_kernels.backend import AnyBackend
    from tamis_kernels.types import Int64s


def union(parent: Int64s, left: Int64s, right: Int64s, *, backend: AnyBackend = "auto") -> None:
    """Join the components of `left[i]` and `right[i]` for every i, in place.

    The root of a component is always its member with the smallest index, so the components and their roots do not depend on the order of
    the edges. To make another member the root, number the members by priority first.

    Parameters
    ----------
    parent
        int64[n], `arange(n)` to begin with; it is changed.
    left, right
        int64[edges], members 0 … n - 1.
    backend
        Where to run.

    Raises
    ------
    ArgumentError
        A dtype or shape is wrong, or a member does not exist.

    Notes
    -----
    R. Tarjan, J. van Leeuwen, Worst-case analysis of set union algorithms, 1984: linking by index, path halving.
    """
    check_array("parent", parent, np.int64, ("n",))
    check_array("left", left, np.int64, ("n_edges",))
    check_array("right", right, np.int64, left.shape)
    if left.size and max(left.view(np.uint64).max(), right.view(np.uint64).max()) >= parent.size:  # a negative one is huge
        message = f"the edges must join members 0 … {parent.size - 1}, got {min(left.min(), right.min())} … {max(left.max(), right.max())}"
        raise ArgumentError(message)
    implementation("components", backend, left.nbytes + right.nbytes).union(parent, read_only(left), read_only(right))


def roots(parent: Int64s, *, backend: AnyBackend = "auto") -> Int64s:
    """Return the smallest member of each member's component, int64[n]; `parent` is left as it is.

    Raises
    ------
    ArgumentError
        `parent` has another dtype or shape, or is not what `union` leaves.
    """
    check_array("parent", parent, np.int64, ("n",))
    out = np.empty(parent.size, np.int64)
    if not implementation("components.roots", backend, parent.nbytes).roots(read_only(parent), out):
        message = "parent must hold, for each member, a member with no higher index; start from numpy.arange(n)"
        raise ArgumentError(message)
    return out
