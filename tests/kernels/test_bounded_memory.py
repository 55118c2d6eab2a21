"""Inputs of many times the device's memory go through it, cut by what is free or by refusals, and give what they give where all fits."""

from __future__ import annotations

import gc
import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from numba.cuda.simulator.kernel import FakeCUDAKernel

from tamis_kernels import ArgumentError, components, fss, groups, hamming, jaccard, minhash, ngram_keys, ngrams, perceptual, png, viterbi
from tamis_kernels.compiled import simulated

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

    from tamis_kernels.backend import BackendName

pytestmark = [pytest.mark.gpu, pytest.mark.simulator]  # which counts the bytes


class Meter:
    """Stands for CuPy where there are so many bytes: counts what is held and refuses more, or, on a device, larger arrays.

    It may say that more is free.
    """

    def __init__(self, arrays: Any, size: int, boast: int) -> None:
        self.arrays, self.size, self.boast = arrays, size, boast
        self.used = self.refused = 0
        self.counts = True
        Held.meter = self

    def __getattr__(self, name: str) -> Any:
        made = getattr(self.arrays, name)
        if isinstance(made, type) or not callable(made):
            return made

        def counted(*arguments: Any, **options: Any) -> Any:
            found = made(*arguments, **options)
            if self.arrays is not np and getattr(found, "nbytes", 0) > self.size:
                self.refuse(found.nbytes)
            plain = type(found) is np.ndarray and not isinstance(found.base, Held)
            return found.view(Held) if plain else found

        return counted

    def take(self, size: int) -> None:
        if self.used + size > self.size:
            gc.collect()  # the simulator leaves arguments of kernels behind in circles
        if self.used + size > self.size:
            self.refuse(size)
        self.used += size

    def refuse(self, size: int) -> None:
        self.refused += 1
        message = f"{size} bytes are too many beside {self.used} of {self.size}"
        raise MemoryError(message)

    def uncounted(self, call: Any) -> Any:
        """Return a call of a kernel, whose arguments the simulator copies."""

        def called(*arguments: Any) -> Any:
            before, self.counts = self.counts, False
            try:
                return call(*arguments)
            finally:
                self.counts = before

        return called

    def room(self) -> int:
        gc.collect()
        return self.boast * (self.size - self.used) * 9 // 10


class Held(np.ndarray[Any, Any]):
    """An array on the device; what is made of it is there too, but a part of it takes nothing more."""

    meter: Meter
    taken = 0

    def __array_finalize__(self, _source: Any) -> None:
        if Held.meter.counts and not isinstance(self.base, Held):
            Held.meter.take(self.nbytes)
            self.taken, self.owner = self.nbytes, Held.meter

    def __del__(self) -> None:
        if self.taken:
            self.owner.used -= self.taken


@pytest.fixture(params=[1, 20], ids=["honest", "boasting"])
def device_of(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[int], Meter]]:
    """Let the device have so many bytes; or a third while it says that twenty times that is free, so that memory ends in the midst."""
    device = import_module("tamis_kernels.device")
    for module in (components, fss, groups, hamming, jaccard, minhash, ngram_keys, ngrams, perceptual, png, viterbi):
        import_module(f"{module.__name__}.cuda")

    def make(size: int) -> Meter:
        made = Meter(device.xp, size if request.param == 1 else size // 3, request.param)
        for name, module in list(sys.modules.items()):
            if name.startswith("tamis_kernels."):
                for attribute, stand_in in (("xp", made), ("room", made.room)):
                    if hasattr(module, attribute):
                        monkeypatch.setattr(module, attribute, stand_in)
        if simulated():
            monkeypatch.setattr(device, "pinned", made.empty)  # which the simulator has instead of a copy on the device
        gc.freeze()  # what is there already, which would be searched through each time
        monkeypatch.setattr(FakeCUDAKernel, "__call__", made.uncounted(FakeCUDAKernel.__call__))
        return made

    yield make
    gc.unfreeze()


def assert_bounded(meter: Meter) -> None:
    """Check that an honest device was never asked for more than it has, that a boasting one was, and that either has all back.

    On a GPU not all arrays are counted, and buffers are not the simulator's tiny ones: there the answer alone is looked at.
    """
    if simulated():
        assert bool(meter.refused) == (meter.boast > 1)
        gc.collect()
        assert meter.used == 0


def spread(size: int, distinct: int) -> NDArray[np.uint64]:
    """Return numbers of which so many are distinct, over all of 64 bits."""
    generator = np.random.default_rng(size)
    return generator.integers(0, 2**64, distinct, np.uint64)[generator.integers(0, distinct, size)]


KEYS = {
    "distinct": spread(1500, 10**6),
    "equal": np.full(1500, 7, np.uint64),
    "few": spread(1500, 3),
    "greatest": np.full(1500, 2**64 - 1, np.uint64),
    "one is most": np.where(np.arange(1500) % 7, np.uint64(2**63), spread(1500, 10**6)),
    "falling": np.arange(1500, dtype=np.uint64)[::-1] << np.uint64(40),
    "one more than a run": spread(65, 30),
    "one less than two runs": spread(127, 60),
}


@pytest.mark.parametrize("name", KEYS)
def test_keys_beyond_the_memory_are_sorted(name: str, device_of: Callable[[int], Meter]) -> None:
    meter = device_of(4000)  # 64 keys
    order, starts = groups.sort_by_key(KEYS[name], backend="cuda")
    expected = groups.sort_by_key(KEYS[name], backend="cpu")
    np.testing.assert_array_equal(order, expected[0])
    np.testing.assert_array_equal(starts, expected[1])
    assert_bounded(meter)


def random_edges(members: int, edges: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    left, right = np.random.default_rng(members).integers(0, members, (2, edges))
    return left, right


MEMBERS = 400
FORESTS = {
    "sparse": random_edges(MEMBERS, 300),
    "dense": random_edges(MEMBERS, 900),
    "chain": (np.arange(MEMBERS - 1), np.arange(1, MEMBERS)),
    "chain from behind": (np.arange(MEMBERS - 1, 0, -1), np.arange(MEMBERS - 2, -1, -1)),
    "star of the last": (np.full(MEMBERS, MEMBERS - 1), np.arange(MEMBERS)),
    "like ends": (np.arange(MEMBERS), np.arange(MEMBERS)),
    "an edge": (np.array([MEMBERS - 1]), np.array([0])),
}


@pytest.mark.parametrize("name", FORESTS)
def test_parents_beyond_the_memory_are_joined(name: str, device_of: Callable[[int], Meter]) -> None:
    meter = device_of(3000)  # 67 parents
    parent, expected = np.arange(MEMBERS), np.arange(MEMBERS)
    left, right = FORESTS[name]
    for some in (slice(None, None, 2), slice(1, None, 2)):  # the second time on trees
        components.union(parent, left[some], right[some], backend="cuda")
        components.union(expected, left[some], right[some], backend="cpu")
    np.testing.assert_array_equal(components.roots(parent, backend="cuda"), components.roots(expected, backend="cpu"))
    assert_bounded(meter)


def test_wrong_parents_beyond_the_memory_are_refused(device_of: Callable[[int], Meter]) -> None:
    device_of(3000)
    parent = np.arange(MEMBERS)
    parent[[3, 4]] = 4, 3
    for call in (
        lambda: components.union(parent, np.array([4]), np.array([0]), backend="cuda"),
        lambda: components.roots(parent, backend="cuda"),
    ):
        with pytest.raises(ArgumentError, match="no higher index"):
            call()


def sets_of(sizes: Sequence[int], most: int = 2**32) -> tuple[NDArray[np.uint32], NDArray[np.int64]]:
    """Return rows of so many hashes each, with repeats where few are different."""
    hashes = np.random.default_rng(len(sizes)).integers(0, most, sum(sizes)).astype(np.uint32)
    return hashes, np.concatenate(([0], np.cumsum(sizes)))


ROWS = {
    "many": sets_of([7] * 100, 30),
    "one giant": sets_of([3, 1500, 0, 5], 4000),
    "two giants": sets_of([900, 4, 1100, 0], 2000),
    "giants of one hash": (np.full(2000, 2**32 - 1, np.uint32), np.array([0, 900, 901, 2000])),
    "a giant alone": sets_of([1000], 700),
    "many empty": sets_of([0] * 300 + [500, 600], 1000),
}


@pytest.mark.parametrize("name", ROWS)
def test_sets_beyond_the_memory_are_sorted_and_compared(name: str, device_of: Callable[[int], Meter]) -> None:
    meter = device_of(5000)
    expected, offsets = jaccard.sorted_sets(*ROWS[name], backend="cpu")
    found, found_offsets = jaccard.sorted_sets(*ROWS[name], backend="cuda")
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(found_offsets, offsets)
    rows = offsets.size - 1
    left, right = np.divmod(np.random.default_rng(3).permutation(rows * rows)[:200], rows)
    similarity = jaccard.pairs(expected, offsets, left, right, backend="cuda")
    np.testing.assert_array_equal(similarity, jaccard.pairs(expected, offsets, left, right, backend="cpu"))
    assert_bounded(meter)


def near_hashes(size: int, words: int) -> NDArray[np.uint64]:
    """Return hashes of which each third is like another one, and some are equal."""
    generator = np.random.default_rng(size)
    hashes = generator.integers(0, 2**64, (size, words), np.uint64)
    copies = generator.integers(0, size, size // 3)
    hashes[copies] = hashes[generator.integers(0, size, size // 3)]
    hashes[copies[::2], 0] ^= np.uint64(1) << generator.integers(0, 64, copies[::2].size).astype(np.uint64)
    return hashes


HASHES = near_hashes(70, 2)
HASHES[30:42] = HASHES[30]  # more pairs than are held at a time
FORMS = np.array([[False, False], [False, True]])
SEARCHES: dict[str, dict[str, Any]] = {
    "themselves": {},
    "in chunks": {"chunk": 5},
    "others": {"against": HASHES[20:]},
    "later ones": {"against": HASHES[::-1].copy(), "half": True},
    "forms": {"forms": FORMS},
    "forms of others": {"against": HASHES[20:], "forms": FORMS, "chunk": 5},
}


def found_pairs(backend: BackendName, **search: Any) -> list[tuple[int, int, int]]:
    pieces = hamming.pair_chunks(HASHES[:50], 5, backend=backend, **search)
    return [pair for piece in pieces for pair in zip(*(column.tolist() for column in piece), strict=True)]


@pytest.mark.no_cover  # others reach these lines
@pytest.mark.parametrize("method", ["all", "index"])
@pytest.mark.parametrize("name", SEARCHES)
def test_sides_beyond_the_memory_are_searched(name: str, method: hamming.Method, device_of: Callable[[int], Meter]) -> None:
    meter = device_of(6000)
    found = found_pairs("cuda", method=method, **SEARCHES[name])
    assert found == found_pairs("cpu", method=method, **SEARCHES[name])
    assert len(found) > 12 * 11 // 2
    assert_bounded(meter)


@pytest.mark.parametrize("method", ["all", "index"])
def test_what_is_joined_is_left_out_of_sides_beyond_the_memory(method: hamming.Method, device_of: Callable[[int], Meter]) -> None:
    hashes = near_hashes(80, 2)
    hashes[20:60] = hashes[20]
    expected, parent, pairs = np.arange(80), np.arange(80), 0
    left, right, _ = hamming.pairs(hashes, 9, backend="cpu")
    components.union(expected, left, right, backend="cpu")
    meter = device_of(6000)
    for left, right, _ in hamming.pair_chunks(hashes, 9, joined=parent, chunk=50, method=method, backend="cuda"):
        components.union(parent, left, right, backend="cpu")
        pairs += left.size
    np.testing.assert_array_equal(components.roots(parent, backend="cpu"), components.roots(expected, backend="cpu"))
    assert pairs < 40 * 39 // 2
    assert_bounded(meter)


@pytest.mark.parametrize("method", ["all", "index"])
@pytest.mark.parametrize("joins", [False, True])
def test_sides_leave_a_device_whose_memory_ends(joins: bool, method: hamming.Method, device_of: Callable[[int], Meter]) -> None:
    meter = device_of(10**6)
    found, expected, parent = np.arange(70), np.arange(70), np.arange(70)
    search = hamming.pair_chunks(HASHES, 2, joined=parent if joins else None, chunk=20, method=method, backend="cuda")
    for number, (left, right, _) in enumerate(search):
        for joined in (found, parent):
            components.union(joined, left, right, backend="cpu")
        meter.size = max(meter.used + 60, 400) if number == 0 else meter.size
    components.union(expected, *hamming.pairs(HASHES, 2, backend="cpu")[:2], backend="cpu")
    np.testing.assert_array_equal(components.roots(found, backend="cpu"), components.roots(expected, backend="cpu"))
    assert meter.refused


TOO_LARGE: dict[str, Callable[[], Any]] = {
    "a key": lambda: groups.sort_by_key(KEYS["few"], backend="cuda"),
    "a parent": lambda: components.roots(np.arange(9), backend="cuda"),
    "a set": lambda: jaccard.sorted_sets(*ROWS["many"], backend="cuda"),
    "a pair": lambda: jaccard.pairs(
        np.arange(9, dtype=np.uint32), np.array([0, 9]), np.zeros(1, np.int64), np.zeros(1, np.int64), backend="cuda"
    ),
    "a hash": lambda: hamming.pairs(HASHES, 5, method="all", backend="cuda"),
}


@pytest.mark.parametrize("name", TOO_LARGE)
def test_where_no_single_item_has_room_the_memory_has_ended(name: str, device_of: Callable[[int], Meter]) -> None:
    device_of(6)
    with pytest.raises(MemoryError, match="bytes are too many"):
        TOO_LARGE[name]()


def test_distances_beyond_the_memory_are_counted(device_of: Callable[[int], Meter]) -> None:
    meter = device_of(2000)
    left, right = near_hashes(300, 4), near_hashes(301, 4)[:300]
    np.testing.assert_array_equal(hamming.distances(left, right, backend="cuda"), hamming.distances(left, right, backend="cpu"))
    assert_bounded(meter)


TEXTS = np.frombuffer(b"a fine sieve keeps what is clean and tells why the rest stays behind; " * 9, np.uint8)
TEXT_OFFSETS = np.array([0, 0, 19, 60, 61, 100, 180, 181, 181, 240, 300, 333, 400, 444, 500, 555, TEXTS.size])
TOKENS = np.arange(0, TEXTS.size + 1, 5)
TOKEN_ROWS = np.array([0, 3, 3, 30, 31, 60, 100, TOKENS.size - 1])
NUMBERS, NUMBER_ROWS = sets_of([5, 0, 90, 33, 1, 2, 70, 44, 51, 60] * 3)
WORDS = spread(4 * 70, 10**6).reshape(-1, 4)
SMALL = np.random.default_rng(5).integers(0, 256, (40, 256)).astype(np.uint8)
FILTERED = np.random.default_rng(6).integers(0, 256, (60, 1 + 3 * 16)).astype(np.uint8)
FILTERED[:, 0] = np.random.default_rng(7).permutation(60) % 5
SERIES = 15 + np.cumsum(np.random.default_rng(8).normal(0, 0.2, 400))
SERIES[100:230] = SERIES[100:230] * 1.8 + 32


def grey(backend: BackendName) -> tuple[NDArray[np.uint8], NDArray[np.uint32]]:
    sums = np.zeros((8, 2, 3), np.uint32)
    return png.gray(FILTERED.reshape(-1), (60, 16), depth=8, colour=2, sums=sums, backend=backend), sums


OTHERS: dict[str, tuple[int, Callable[[BackendName], Any]]] = {
    "fss": (9000, lambda backend: fss.signatures(NUMBERS, NUMBER_ROWS, num_perm=8, backend=backend)),
    "fss of texts": (24_000, lambda backend: fss.text_signatures(TEXTS, TEXT_OFFSETS, num_perm=8, backend=backend)),
    "fss of tokens": (9000, lambda backend: fss.token_signatures(TEXTS, TOKENS, TOKEN_ROWS, num_perm=8, backend=backend)),
    "minhash": (4000, lambda backend: minhash.signatures(NUMBERS, NUMBER_ROWS, num_perm=8, backend=backend)),
    "keys of n-grams": (18_000, lambda backend: ngram_keys.keys(TEXTS, TEXT_OFFSETS, ngram=5, backend=backend)),
    "keys of tokens": (1500, lambda backend: ngram_keys.token_keys(TEXTS, TOKENS, backend=backend)),
    "n-grams": (40_000, lambda backend: ngrams.hashes(TEXTS, TEXT_OFFSETS, unit="char", ngram=3, backend=backend)),
    "turned hashes": (4000, lambda backend: perceptual.turned(WORDS, backend=backend)),
    "parted hashes": (1500, lambda backend: perceptual.parted(WORDS, backend=backend)),
    "pairs of pictures": (9000, lambda backend: perceptual.likeness(SMALL, SMALL[::-1].copy(), backend=backend)),
    "a picture": (1500, grey),
    "a series": (1500, lambda backend: viterbi.converted_spans(SERIES, np.ones(400, np.bool_), 1.8, 32.0, spread=0.2, backend=backend)),
}


@pytest.mark.parametrize("name", OTHERS)
def test_other_inputs_beyond_the_memory_go_through(name: str, device_of: Callable[[int], Meter]) -> None:
    size, call = OTHERS[name]
    meter = device_of(size)
    found, expected = (answer if isinstance(answer, tuple) else (answer,) for answer in (call("cuda"), call("cpu")))
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, other)
    assert_bounded(meter)
