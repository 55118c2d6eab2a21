"""Batches overlap, keep within the bound of the device's memory, and are halved where it has none: the answer stays the same."""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

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
    """Stands for CuPy on a device with room for so many bytes: copies to the host arrive only when their stream is waited for."""

    def __init__(self, room: int) -> None:
        self.room, self.limit, self.used = room, 0, 0
        self.told: list[str] = []
        self.late: dict[Any, list[Callable[[], None]]] = {}
        self.current: Any = None
        self.concatenate, self.uint8 = np.concatenate, np.uint8
        self.cuda = SimpleNamespace(
            Stream=lambda: CardStream(self), runtime=SimpleNamespace(memGetInfo=lambda: (self.room - self.used, self.room))
        )
        self.pool = SimpleNamespace(
            set_limit=lambda size: setattr(self, "limit", size),
            free_bytes=lambda: 0,
            used_bytes=lambda: self.used,
            free_all_blocks=lambda: self.told.append("free"),
        )

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
        self.card.current = self

    def __exit__(self, *_: object) -> None:
        self.card.current = None

    def synchronize(self) -> None:
        for arrive in self.card.late.pop(self, []):
            arrive()


class CardArray(np.ndarray[Any, Any]):
    card: Any = None
    size_held = 0

    def __del__(self) -> None:
        if self.card is not None:
            self.card.used -= self.size_held

    def set(self, source: Any, stream: Any) -> None:
        assert stream is self.card.current
        self.card.told.append("in")
        self[...] = source

    def get(self, stream: Any, out: Any, *, blocking: bool) -> None:
        assert stream is self.card.current
        assert not blocking

        def arrive() -> None:
            out[...] = self
            self.card.told.append("out")

        out[...] = 0 if out.dtype != np.float64 else np.nan  # what is there before the copy arrives
        self.card.late.setdefault(stream, []).append(arrive)


@pytest.fixture
def card(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[int], Card]]:
    from tamis_kernels import device

    def put(room: int) -> Card:
        made = Card(room)
        monkeypatch.setattr(device, "xp", made)
        monkeypatch.setattr(device, "simulated", lambda: False)
        monkeypatch.setitem(sys.modules, "cupyx", SimpleNamespace(empty_pinned=np.empty))
        device._streams.cache_clear()
        return made

    yield put
    device._streams.cache_clear()


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
        assert (made.told.count("copy"), made.told.count("in")) == (1, 0)
        to_device(values[::2])  # in pieces: it goes its own way
        assert made.told.count("copy") == 2
    to_device(values)
    assert made.told.count("copy") == 3


@pytest.mark.gpu
def test_kernels_take_resident_arrays_and_leave_them_as_they_are() -> None:
    from tamis_kernels.device import resident

    values = np.arange(300.0) / 7
    with resident(values):
        moved = affine.transform(values, 2.0, 3.0, backend="cuda")
        np.testing.assert_array_equal(moved, affine.transform(values, 2.0, 3.0, backend="cpu"))
        assert moments.accumulate(values, backend="cuda") == moments.accumulate(values, backend="cpu")
