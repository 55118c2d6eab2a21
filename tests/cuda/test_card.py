"""The emulator's stand-in for CuPy refuses what CuPy refuses, is late where CuPy may be, and has the devices and bytes that it is told."""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from emulator import card

if TYPE_CHECKING:
    from collections.abc import Callable

cp = card.modules()["cupy"]


def test_arrays_of_the_host_and_the_device_do_not_mix() -> None:
    held, host = cp.asarray(np.arange(4)), np.arange(4)
    mixtures: list[Callable[[], Any]] = [
        lambda: held + host, lambda: host + held, lambda: np.add(host, held), lambda: held[host],
        lambda: cp.where(held > 1, held, host), lambda: cp.concatenate([held, host]), lambda: held.searchsorted(host),
    ]  # fmt: skip
    for mixed in mixtures:
        with pytest.raises(TypeError, match="Unsupported type"):
            mixed()
    wholes: list[Callable[[], Any]] = [lambda: np.asarray(held), lambda: np.array(held), lambda: np.concatenate([held, host])]
    for whole in wholes:
        with pytest.raises(TypeError, match="not allowed"):
            whole()
    assert isinstance(held.sum(), cp.ndarray)
    assert isinstance(held + np.int64(1), cp.ndarray)
    np.testing.assert_array_equal((1 - held).get(), 1 - host)


def test_a_device_array_is_a_copy_of_what_the_host_has() -> None:
    host = np.arange(4)
    held = cp.asarray(host)
    host[:] = 0
    np.testing.assert_array_equal(held.get(), np.arange(4))


def test_late_copies_arrive_when_their_stream_is_waited_for() -> None:
    stream, other, held = cp.cuda.Stream(), cp.cuda.Stream(), cp.asarray(np.arange(4))
    out = np.zeros(4, np.int64)
    held.get(stream=stream, out=out, blocking=False)
    held[...] = 0
    other.synchronize()
    assert (out != np.arange(4)).all()
    stream.synchronize()
    np.testing.assert_array_equal(out, np.arange(4))


def test_arrays_take_memory_until_their_last_part_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    pool = cp.get_default_memory_pool()
    gc.collect()  # what other tests have left
    before = pool.used_bytes()
    held = cp.zeros(1000, np.uint8)
    part = held[3:5]
    del held
    assert pool.used_bytes() == before + 1024
    pool.set_limit(before + 2048)
    try:
        with pytest.raises(MemoryError, match="Out of memory allocating 1,536 bytes"):
            cp.zeros(1025, np.uint8)
        del part
        assert cp.zeros(1025, np.uint8).size == 1025
        monkeypatch.setenv("EMULATED_MEMORY", str(before + 1000))
        with pytest.raises(MemoryError, match="Out of memory allocating 1,024 bytes"):
            cp.zeros(1000, np.uint8)
    finally:
        pool.set_limit(0)
    assert pool.used_bytes() == before


@pytest.mark.parametrize(("shown", "seen"), [(None, 3), ("2,0", 2), ("1,7,0", 1), ("", 0)])
def test_a_process_sees_the_devices_that_it_is_shown(monkeypatch: pytest.MonkeyPatch, shown: str | None, seen: int) -> None:
    monkeypatch.setenv("EMULATED_GPUS", "3")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if shown is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", shown)
    assert cp.cuda.runtime.getDeviceCount() == seen
