"""Batches that the device has no memory for are halved, and the answer stays the same."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from backends import CUDA
from tamis_kernels import perceptual, quality


class Pool:
    """Stands for a device that has room for so many bytes in one array."""

    def __init__(self, arrays: Any, room: int) -> None:
        self.arrays, self.room, self.refused = arrays, room, 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self.arrays, name)

    def empty(self, shape: Any, dtype: Any) -> Any:
        if np.dtype(dtype).itemsize * np.prod(shape) > self.room:
            self.refused += 1
            message = "out of memory"
            raise MemoryError(message)
        return self.arrays.empty(shape, dtype)


@pytest.mark.parametrize("backend", [CUDA])
def test_a_batch_beyond_the_memory_is_halved_and_gives_the_same(monkeypatch: pytest.MonkeyPatch, backend: Any) -> None:
    from tamis_kernels.device import xp
    from tamis_kernels.quality import cuda as quality_cuda

    generator = np.random.default_rng(1)
    packed = perceptual.pack([generator.integers(0, 256, (5, 4 + number)).astype(np.uint8) for number in range(5)])
    expected = quality.measure(*packed, backend="cpu")
    pool = Pool(xp, 2 * 4096)
    monkeypatch.setattr(quality_cuda, "xp", pool)
    monkeypatch.setattr(quality_cuda, "PICTURES", 5)
    found = quality.measure(*packed, backend=backend)
    assert pool.refused == 2
    assert {name: values.tolist() for name, values in found.items()} == {name: values.tolist() for name, values in expected.items()}
    pool.room = 100
    with pytest.raises(MemoryError, match="out of memory"):
        quality.measure(*packed, backend=backend)
