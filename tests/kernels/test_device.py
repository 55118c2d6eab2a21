"""Batches overlap, keep within the bound of the device's memory, and are halved where it has none: the answer stays the same."""

from __future__ import annotations

import sys
from collections import deque
from functools import partial
from threading import Barrier, Thread, local
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from numba import get_num_threads, set_num_threads

from backends import CUDA
from tamis_kernels import affine, moments, perceptual, quality

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence


class Pool:
    """Stands for a device that has room for so many bytes in one array."""

    def __init__(self, arrays: Any, room: int) -> None:
        self.arrays, self.room, self.refused = arrays, room, 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self.arrays, name)

    def zeros(self, shape: Any, dtype: Any) -> Any:
        if np.dtype(dtype).itemsize * np.prod(shape) > self.room:
            self.refused += 1
            message = "out of memory"
            raise MemoryError(message)
        return self.arrays.zeros(shape, dtype)


@pytest.mark.parametrize("backend", [CUDA])
def test_a_batch_beyond_the_memory_is_halved_and_gives_the_same(monkeypatch: pytest.MonkeyPatch, backend: Any) -> None:
    from tamis_kernels.device import xp
    from tamis_kernels.quality import cuda as quality_cuda

    generator = np.random.default_rng(1)
    packed = perceptual.pack([generator.integers(0, 256, (5, 4 + number)).astype(np.uint8) for number in range(5)])
    expected = quality.measure(*packed, backend="cpu")
    pool = Pool(xp, 2 * 8 * len(quality.FIGURES))
    monkeypatch.setattr(quality_cuda, "xp", pool)
    monkeypatch.setattr(quality_cuda, "PICTURES", 5)
    found = quality.measure(*packed, backend=backend)
    assert pool.refused == 2
    assert {name: values.tolist() for name, values in found.items()} == {name: values.tolist() for name, values in expected.items()}
    pool.room = 100
    with pytest.raises(MemoryError, match="out of memory"):
        quality.measure(*packed, backend=backend)


class Card:
    """Stands for CuPy on a device with room for so many bytes: copies to the host arrive only when their stream is waited for.

    Where it is slow, copies to the device leave the host's memory only then, too.
    """

    def __init__(self, room: int) -> None:
        self.room, self.limit, self.used, self.slow = room, 0, 0, False
        self.told: list[str] = []
        self.late: dict[Any, deque[Callable[[], None]]] = {}
        self.local = local()
        self.default = CardStream(self)
        self.ascontiguousarray = partial(np.array, copy=None, order="C", subok=True)
        self.concatenate, self.uint8 = np.concatenate, np.uint8
        self.cuda = SimpleNamespace(
            Stream=lambda: CardStream(self),
            get_current_stream=lambda: self.current,
            runtime=SimpleNamespace(memGetInfo=lambda: (self.room - self.used, self.room)),
        )
        self.pool = SimpleNamespace(
            set_limit=lambda size: setattr(self, "limit", size),
            free_bytes=lambda: 0,
            used_bytes=lambda: self.used,
            free_all_blocks=lambda: self.told.append("free"),
        )

    @property
    def current(self) -> Any:
        return getattr(self.local, "stream", self.default)

    def get_default_memory_pool(self) -> Any:
        return self.pool

    def empty(self, shape: Any, dtype: Any) -> Any:
        size = int(np.prod(shape)) * np.dtype(dtype).itemsize
        if self.used + size > min(self.room, self.limit or self.room):
            self.told.append("full")
            message = "out of memory"
            raise MemoryError(message)
        self.used += size
        array = np.empty(shape, dtype).view(CardArray)
        array.card, array.size_held = self, size
        return array

    def array(self, source: Any) -> Any:
        found = self.empty(source.shape, source.dtype)
        found[...] = source
        self.told.append("copy")
        return found


class CardStream:
    def __init__(self, card: Card) -> None:
        self.card = card

    def __enter__(self) -> None:
        self.card.local.stream = self

    def __exit__(self, *_: object) -> None:
        del self.card.local.stream

    def synchronize(self) -> None:
        self.arrive(len(self.card.late.get(self, ())))

    def record(self) -> Any:
        given = self.card.late.setdefault(self, deque())
        pending = [*given]
        return SimpleNamespace(synchronize=lambda: self.arrive(1 + given.index(pending[-1]) if pending and pending[-1] in given else 0))

    def arrive(self, many: int) -> None:
        for _ in range(many):
            self.card.late[self].popleft()()


class CardArray(np.ndarray[Any, Any]):
    card: Any = None
    size_held = 0

    def __array_finalize__(self, base: Any) -> None:
        self.card, self.whole = getattr(base, "card", None), base  # which is held as long as its parts are

    def __del__(self) -> None:
        if self.size_held:
            self.card.used -= self.size_held

    def set(self, source: Any, stream: Any) -> None:
        card = self.card
        assert stream is card.current

        def leave() -> None:
            card.told.append("in")
            self[...] = source

        if card.slow:
            card.late.setdefault(stream, deque()).append(leave)
        else:
            leave()

    def get(self, stream: Any = None, out: Any = None, *, blocking: bool = True) -> Any:
        card = self.card
        if blocking:
            card.current.synchronize()
            return np.array(self)
        assert stream is card.current

        def arrive() -> None:
            out[...] = self
            card.told.append("out")

        out[...] = 0 if out.dtype != np.float64 else np.nan  # what is there before the copy arrives
        card.late.setdefault(stream, deque()).append(arrive)
        return None


@pytest.fixture
def card(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[int], Card]]:
    from tamis_kernels import device, link

    def clear() -> None:
        device._streams.cache_clear()
        device._stream_of.cache_clear()

    def put(room: int) -> Card:
        made = Card(room)
        for module in (device, link):
            monkeypatch.setattr(module, "xp", made)
            monkeypatch.setattr(module, "simulated", lambda: False)
        monkeypatch.setattr(link, "SMALL", 0)
        monkeypatch.setattr(link, "PIECE", 32)
        monkeypatch.setattr(link, "_TURNS", link._Turns())
        monkeypatch.setitem(sys.modules, "cupyx", SimpleNamespace(empty_pinned=np.empty))
        clear()
        return made

    yield put
    clear()


def doubled(values: Any, card: Card, sizes: Sequence[int] | None = None) -> Any:
    """Double numbers on the card."""
    from tamis_kernels.device import streamed, uniform

    out = np.zeros_like(values)

    def work(_first: int, _last: int, part: Any) -> tuple[Any]:
        found = card.empty(part.shape, part.dtype)
        found[...] = 2 * np.asarray(part)
        return (found,)

    streamed(sizes or uniform(values.size, 16), lambda a, b: (values[a:b],), work, lambda a, b: (out[a:b],), most=160)
    return out


@pytest.mark.gpu
def test_the_next_batches_come_in_before_the_first_is_back(card: Callable[[int], Card]) -> None:
    made, values = card(10_000), np.arange(65.0)
    np.testing.assert_array_equal(doubled(values, made), 2 * values)
    assert made.told == ["in", "in", "in", *["out", "in"] * 4, "out", "out", "out"]
    assert made.used == 0
    np.testing.assert_array_equal(doubled(values[:3], made, [0, 16, 500, 501]), 2 * values[:3])  # one item is more than a batch


@pytest.mark.gpu
def test_what_is_under_way_lands_before_a_batch_is_halved(card: Callable[[int], Card]) -> None:
    made, values = card(10_000), np.arange(40.0)
    made.limit = 300  # a batch of ten takes 160 while it is under way
    np.testing.assert_array_equal(doubled(values, made), 2 * values)
    assert made.told[: made.told.index("free") + 2] == ["in", "in", "in", "full", "out", "out", "free", "in"]
    made.limit = 100
    made.told.clear()
    np.testing.assert_array_equal(doubled(values, made), 2 * values)
    assert made.told.count("in") > 8
    made.limit = 8
    with pytest.raises(MemoryError, match="out of memory"):
        doubled(values, made)
    assert made.used == 0


@pytest.mark.gpu
def test_a_bound_is_the_limit_of_the_pool_and_sizes_the_batches(card: Callable[[int], Card]) -> None:
    from tamis_kernels import device

    made, values = card(10_000), np.arange(30.0)
    assert device.room() == 9_000
    device.bound(400)
    assert (made.limit, device.room()) == (400, 400)
    np.testing.assert_array_equal(doubled(values, made), 2 * values)
    assert made.told.count("in") == 4  # eight a batch, three of which fit into 400 bytes
    assert made.told.count("full") == 0
    device.bound(None)
    assert (made.limit, device.room()) == (0, 9_000)


@pytest.mark.gpu
def test_resident_arrays_cross_the_link_once(card: Callable[[int], Card]) -> None:
    from tamis_kernels.device import resident, to_device

    made, values = card(10_000), np.arange(30.0)
    with resident(values):
        np.testing.assert_array_equal(to_device(values[3:9]), values[3:9])
        np.testing.assert_array_equal(to_device(values.reshape(5, 6)), values.reshape(5, 6))
        np.testing.assert_array_equal(doubled(values, made), 2 * values)
        assert (made.told.count("copy"), made.told.count("in")) == (0, 8)
        to_device(values[::2])  # not contiguous: it goes its own way
        assert (made.told.count("copy"), made.told.count("in")) == (1, 8)
    to_device(values)
    assert (made.told.count("copy"), made.told.count("in")) == (1, 16)


@pytest.mark.gpu
def test_an_array_that_the_device_has_no_room_for_is_not_kept_there(card: Callable[[int], Card]) -> None:
    from tamis_kernels.device import resident, to_device

    made, small, large = card(1_000), np.arange(30.0), np.arange(300.0)
    with resident(small, large):
        with resident(small):
            pass  # what another block keeps of the same array is its own
        assert made.used == small.nbytes
        with pytest.raises(MemoryError):
            to_device(large)
        np.testing.assert_array_equal(doubled(large, made), 2 * large)
        copies = made.told.count("in")
        np.testing.assert_array_equal(to_device(small), small)
        assert made.told.count("in") == copies
    assert made.used == 0


@pytest.mark.gpu
def test_kernels_take_resident_arrays_and_leave_them_as_they_are() -> None:
    from tamis_kernels.device import resident

    values = np.arange(300.0) / 7
    with resident(values):
        moved = affine.transform(values, 2.0, 3.0, backend="cuda")
        np.testing.assert_array_equal(moved, affine.transform(values, 2.0, 3.0, backend="cpu"))
        assert moments.accumulate(values, backend="cuda") == moments.accumulate(values, backend="cpu")


@pytest.mark.gpu
@pytest.mark.parametrize("size", [1, 31, 32, 33, 64, 65, 200])
def test_a_piece_is_filled_again_only_when_it_has_crossed_the_link(card: Callable[[int], Card], size: int) -> None:
    from tamis_kernels.device import to_device

    made, values = card(10_000), np.arange(size, dtype=np.uint8)
    made.slow = True
    first, second = to_device(values), to_device(values[::-1].copy())
    assert made.told == ["in"] * (2 * -(-size // 32) - 2)  # two pieces are under way
    made.default.synchronize()
    np.testing.assert_array_equal(first, values)
    np.testing.assert_array_equal(second, values[::-1])


@pytest.mark.gpu
def test_arrays_come_back_together_in_pieces_of_two_threads_each_its_own(card: Callable[[int], Card]) -> None:
    from tamis_kernels.device import to_device, to_host, to_hosts

    made, failed = card(100_000), []
    made.slow = True

    def there_and_back(start: int) -> None:
        given: list[Any] = [
            np.arange(start, start + size).astype(kind)
            for size, kind in ((3, "u8"), (0, "u1"), (50, "i8"), (7, "u1"), (1, "f8"), (8, "i8"))
        ]
        given[2] = given[2].reshape(5, 10)
        with made.cuda.Stream():
            there = [to_device(one) for one in given]
            back = [np.zeros_like(one) for one in given]
            to_hosts(*zip(there, back, strict=True))
            turned = np.zeros((10, 5), "i8").T
            to_host(there[2], turned)  # not contiguous: it goes its own way
        if not all(np.array_equal(*pair) for pair in zip([*given, given[2]], [*back, turned], strict=True)):
            failed.append(start)

    threads = [Thread(target=there_and_back, args=(start,)) for start in (0, 70)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert made.told.count("out") == 2 * (1 + 14 + 1 + 1 + 3)  # spans of three, fifty, seven, one and eight values


@pytest.mark.gpu
def test_batches_that_ask_the_host_run_side_by_side_on_their_streams(card: Callable[[int], Card]) -> None:
    from tamis_kernels.device import FLIGHTS, side_by_side, uniform

    made, together, streams = card(10_000), Barrier(FLIGHTS, timeout=60), set()
    done = np.zeros(2 * FLIGHTS, np.int64)

    def work(first: int, last: int) -> None:
        together.wait()  # which ends only where so many are under way
        streams.add(made.current)
        done[first:last] += get_num_threads()

    threads = get_num_threads()
    set_num_threads(1)
    try:
        side_by_side(work, uniform(2 * FLIGHTS, 100), 100)
    finally:
        set_num_threads(threads)
    assert done.tolist() == [1] * (2 * FLIGHTS)  # as many for its copies as the caller has
    assert len(streams) == FLIGHTS
    assert made.default not in streams


@pytest.mark.gpu
def test_batches_beyond_the_memory_come_last_alone_and_in_halves(card: Callable[[int], Card]) -> None:
    from tamis_kernels.device import side_by_side, uniform

    made, done = card(1_000), np.zeros(40, np.int64)
    lasting: list[Any] = []

    def work(first: int, last: int) -> None:
        if made.current is not made.default:
            lasting.append(made.empty(300, np.uint8))  # those under way together leave room for one
        made.empty(100 * (last - first), np.uint8)
        done[first:last] += 1

    def broken(first: int, _last: int) -> None:
        if first == 4:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        side_by_side(broken, uniform(12, 1), 2)
    side_by_side(work, uniform(40, 1), 8)
    assert (done == 1).all()
    assert made.told.count("full") >= 5
    made.limit = 99
    with pytest.raises(MemoryError, match="out of memory"):
        side_by_side(work, uniform(4, 1), 8)
