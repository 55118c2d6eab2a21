from __future__ import annotations

import math
from dataclasses import astuple
from itertools import chain
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backends import BACKENDS, COMPILED
from tamis_kernels.errors import ArgumentError
from tamis_kernels.windows import describe


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_figures_of_windows_of_any_length(dtype: Any, backend: Any) -> None:
    windows = [
        [],
        [math.nan, math.inf, -math.inf, math.nan],
        [5.0, 5.0, 5.0, 5.0],
        [0.0, 1.0, 3.0, 3.0, 3.0, 1.0, 1.0, 1.0, 0.0, -0.0, 0.0],
        [3.0, 3.0, math.nan, 3.0, 1.0],
        [2.0, 2.0, 2.0, math.inf, math.inf, 2.0],
        [1.0],
    ]
    offsets = np.cumsum([0, *map(len, windows)])
    found = describe(np.array(list(chain.from_iterable(windows)), dtype), offsets, backend=backend)
    assert found.finite.tolist() == [0, 0, 4, 11, 4, 4, 1]
    assert found.nan.tolist() == [0, 2, 0, 0, 1, 0, 0]
    assert found.infinite.tolist() == [0, 2, 0, 0, 0, 2, 0]
    assert found.at_least.tolist() == [0, 0, 4, 3, 0, 3, 0]
    assert found.at_greatest.tolist() == [0, 0, 0, 3, 0, 0, 0]
    assert found.elsewhere.tolist() == [0, 0, 0, 3, 0, 0, 0]
    assert found.minimum[2:].tolist() == [5, 0, 1, 2, 1]
    assert found.maximum[2:].tolist() == [5, 3, 3, 2, 1]
    for window, samples in enumerate(windows):
        finite = np.array(samples)[np.isfinite(samples)]
        expected = [finite.mean(), finite.std()] if finite.size else [math.nan, math.nan]
        np.testing.assert_allclose([found.mean[window], found.deviation[window]], expected)


SAMPLES = st.sampled_from([0.0, -0.0, 1.0, 0.1, -7.5, math.nan, math.inf, -math.inf]) | st.floats(-1e200, 1e200)


@pytest.mark.parametrize("backend", COMPILED)
@given(windows=st.lists(st.lists(SAMPLES, max_size=12), max_size=6), run=st.integers(2, 4), short=st.booleans())
def test_backends_agree_on_any_windows(backend: Any, windows: list[list[float]], run: int, short: bool) -> None:
    with np.errstate(over="ignore"):
        values: Any = np.array(list(chain.from_iterable(windows)), np.float64).astype(np.float32 if short else np.float64)
    offsets = np.cumsum([0, *map(len, windows)])
    reference, got = (describe(values, offsets, run=run, backend=one) for one in ("reference", backend))
    for one, other in zip(astuple(reference), astuple(got), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("backend", COMPILED)
@pytest.mark.parametrize("longest", [64, 65, 129, 260])  # tiles of CUDA: one for all, a sample more than one or two, five
def test_backends_agree_on_both_sides_of_a_tile_and_of_a_block(backend: Any, longest: int) -> None:
    lengths = [longest, 0, 1, 31, 32, 63, 64, *range(5, 41), *[3] * 8]  # more windows than a block has threads, and not a multiple
    values = np.random.default_rng(longest).integers(-2, 3, sum(lengths)) / 7
    values[::9] = math.nan
    offsets = np.cumsum([0, *lengths])
    reference, got = (describe(values, offsets, backend=one) for one in ("reference", backend))
    for one, other in zip(astuple(reference), astuple(got), strict=True):
        np.testing.assert_array_equal(one, other)


OFFSETS = np.array([0, 2])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: describe(np.arange(2), OFFSETS), "values must be float32 or float64"),  # type: ignore[arg-type]
        (lambda: describe(np.zeros((2, 2)), OFFSETS), r"of shape \(n_values,\)"),
        (lambda: describe(np.zeros(2), OFFSETS.astype(np.uint8)), "offsets must be int32 or int64 of shape"),  # type: ignore[arg-type]
        (lambda: describe(np.zeros(2), OFFSETS[:0]), "offsets must rise .* got none"),
        (lambda: describe(np.zeros(1), OFFSETS), "offsets must rise from 0 or more to at most 1, the length of the buffer; got 0 … 2"),
        (lambda: describe(np.zeros(2), OFFSETS[::-1].copy()), "offsets must rise"),
        (lambda: describe(np.zeros(2), OFFSETS - 1), "offsets must rise"),
        (lambda: describe(np.zeros(2), OFFSETS, run=1), "run must be a whole number from 2"),
    ],
)
def test_bad_arguments_say_what_is_wrong(call: Any, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        call()
