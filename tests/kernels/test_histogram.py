from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from backends import BACKENDS, COMPILED, at_most
from tamis_kernels.errors import ArgumentError
from tamis_kernels.histogram import Histogram, byte_counts, histogram

if TYPE_CHECKING:
    from numpy.typing import NDArray


def numbers(found: Histogram) -> list[int]:
    return [found.below, *found.counts.tolist(), found.above, found.nan]


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("edges", [[-1.0, 1.0], [-2, -1, 0, 0.5, 3], np.linspace(-3, 3, 14)])
def test_counts_are_those_of_numpy(edges: Any, dtype: Any, backend: Any) -> None:
    values = np.concatenate([np.random.default_rng(1).standard_normal(at_most(500, 60)), edges, [math.nan, math.inf, -math.inf]]).astype(
        dtype
    )
    found = histogram(values, edges, backend=backend)
    exact = values.astype(np.float64)
    np.testing.assert_array_equal(found.counts, np.histogram(exact[np.isfinite(exact)], edges)[0])
    assert (found.below, found.above, found.nan) == ((exact < edges[0]).sum(), (exact > edges[-1]).sum(), 1)


@pytest.mark.parametrize("backend", COMPILED)
@given(
    values=npst.arrays(np.float64, st.integers(0, 50), elements=st.floats()),
    edges=st.lists(st.floats(-1e300, 1e300), min_size=2, max_size=9, unique=True),
    cut=st.integers(0, 50),
)
def test_chunks_add_up_and_subtract(values: NDArray[np.float64], edges: list[float], cut: int, backend: Any) -> None:
    edges = sorted(np.unique(np.array(edges) + 0.0).tolist())
    if len(edges) < 2:
        return
    whole = histogram(values, edges, backend=backend)
    assert numbers(whole) == numbers(histogram(values, edges, backend="reference"))
    left, right = (histogram(part, edges, backend=backend) for part in (values[:cut], values[cut:]))
    assert numbers(right + left) == numbers(whole)
    assert numbers(whole - left) == numbers(right)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("shape", [(7, 5, 3), (2, 7, 5, 3), (40,), (0, 4, 1)])
def test_bytes_are_counted_by_channel(shape: tuple[int, ...], backend: Any) -> None:
    pixels = np.random.default_rng(2).integers(0, 256, shape, np.uint8)
    found = byte_counts(pixels, backend=backend)
    for channel in range(shape[-1]):
        np.testing.assert_array_equal(found[channel], np.bincount(pixels[..., channel].reshape(-1), minlength=256))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: histogram(np.arange(3), [0, 1]), "must be float32 or float64"),  # type: ignore[arg-type]
        (lambda: histogram(np.zeros(3), [1, 1]), "rising numbers"),
        (lambda: histogram(np.zeros(3), [0, 1]) + histogram(np.zeros(3), [0, 2]), "equal edges"),
        (lambda: histogram(np.zeros(3), [0, 1]) - histogram(np.zeros(4), [0, 1]), "no part of this one"),
        (lambda: byte_counts(np.zeros((2, 2))), "must be uint8"),  # type: ignore[arg-type]
    ],
)
def test_bad_arguments_say_what_is_wrong(call: Any, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        call()
