"""Union-find in CUDA: an edge a thread, which climbs until it hooks the higher root below the lower one, or meets what others hooked.

J. Jaiganesh, M. Burtscher, A High-Performance Connected Components Implementation for GPUs, HPDC 2018: hooking and pointer jumping in one
parent array. A parent is lower than its child at all times, so that climbing ends, and no order of the threads changes which member is
a component's root.

Who climbs asks for the parent of the higher of two members alone, so that the members asked for fall. More parents than the device has
room for thus pass it in pieces, the last one first, and edges once with each piece: what a piece leaves of an edge lies below it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from numba import cuda

from tamis_kernels.device import copy_to_device, in_batches, launch, room, streamed, to_device, to_host, uniform, xp
from tamis_kernels.errors import ArgumentError

if TYPE_CHECKING:
    from tamis_kernels.types import Int64s

PARENT_BYTES = 40  # of the device that a parent takes: 8, and 19 while it is checked; the rest is for edges


def union(parent: Int64s, left: Int64s, right: Int64s) -> None:
    """Join the components of each edge's ends; the smaller root wins."""

    def join(first: int, last: int) -> None:
        nonlocal left, right
        begin, end = parent.size - last, parent.size - first
        parents = copy_to_device(parent[begin:end])  # it is changed
        if not _falls(parents, begin):
            message = "parent must hold, for each member, a member with no higher index; start from numpy.arange(n)"
            raise ArgumentError(message)  # a thread that climbs a circle never ends, and a GPU cannot be interrupted
        if begin:  # edges go on to the piece below
            left, right = left.copy(), right.copy()
        ends = left, right

        def some(a: int, b: int) -> tuple[Int64s, ...]:
            return ends[0][a:b], ends[1][a:b]

        def hooked(_a: int, _b: int, one: Any, other: Any) -> tuple[Any, ...]:
            launch(hook, one.size, parents, begin, one, other)
            return (one, other) if begin else ()

        try:
            streamed(uniform(left.size, 16), some, hooked, some if begin else lambda _a, _b: ())
        finally:
            to_host(parents, parent[begin:end])  # edges that are through have been hooked there
        if begin:
            unlike = left != right
            left, right = left[unlike], right[unlike]

    if left.size:
        in_batches(join, parent.size, max(1, room() // PARENT_BYTES))


def roots(parent: Int64s, out: Int64s) -> bool:
    """Write the root of each member; return False where a parent is no lower member."""
    out[:] = parent
    falls = True

    def ascend(first: int, last: int) -> None:
        nonlocal falls
        begin, end = parent.size - last, parent.size - first
        parents = to_device(parent[begin:end])
        falls = falls and _falls(parents, begin)

        def some(a: int, b: int) -> tuple[Int64s]:
            return (out[begin + a : begin + b],)

        def climbed(_a: int, _b: int, members: Any) -> tuple[Any]:
            launch(climb, members.size, parents, begin, members)
            return (members,)

        if falls:
            streamed(uniform(parent.size - begin, 8), some, climbed, some)

    in_batches(ascend, parent.size, max(1, room() // PARENT_BYTES))
    return falls


def _falls(parents: Any, begin: int) -> bool:
    """Return whether each parent, of members from `begin` on, is a member with no higher index."""
    return not bool(((parents < 0) | (parents > xp.arange(begin, begin + parents.size))).any())


@cuda.jit
def hook(parent: Int64s, begin: int, left: Int64s, right: Int64s) -> None:
    """Join the ends of one edge a thread as far as the parents of members from `begin` on tell; what is left of it takes its place."""
    item = cuda.grid(1)
    if item < left.size:
        one, other = left[item], right[item]
        while one != other and max(one, other) >= begin:
            low, high = min(one, other), max(one, other)
            above = cuda.atomic.cas(parent, high - begin, high, low)
            one, other = low, low if above == high else above
        if begin:
            left[item], right[item] = one, other


@cuda.jit
def climb(parent: Int64s, begin: int, members: Int64s) -> None:
    """Put, a member a thread, its root in its place, or the first one on the way there that lies below the parents from `begin` on."""
    item = cuda.grid(1)
    if item < members.size:
        member = members[item]
        while begin <= member < begin + parent.size and parent[member - begin] != member:  # a root above is one already
            member = parent[member - begin]
        members[item] = member
