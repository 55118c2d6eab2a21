from __future__ import annotations

import math
from statistics import NormalDist
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from backends import BACKENDS, COMPILED, at_most
from tamis_kernels.errors import ArgumentError
from tamis_kernels.symbols import BREAKPOINTS, EMPTY, words

if TYPE_CHECKING:
    from numpy.typing import NDArray

NAN = math.nan


def waves(windows: int, samples: int) -> NDArray[np.float64]:
    return np.random.default_rng(1).standard_normal((windows, samples)).cumsum(axis=1)


@pytest.mark.parametrize("alphabet", [8, 16])
def test_breakpoints_are_normal_quantiles(alphabet: int) -> None:
    expected = [NormalDist().inv_cdf(i / alphabet) for i in range(1, alphabet)]
    np.testing.assert_allclose(BREAKPOINTS[alphabet], expected, rtol=0, atol=1e-14)
    np.testing.assert_array_equal(BREAKPOINTS[alphabet], -BREAKPOINTS[alphabet][::-1])


@pytest.mark.parametrize("backend", COMPILED)
@given(
    values=npst.arrays(np.float64, st.integers(0, 40), elements=st.floats(allow_nan=True, allow_infinity=True)),
    cuts=st.lists(st.integers(0, 40), max_size=5),
    segments=st.integers(1, 9),
    alphabet=st.sampled_from([8, 16]),
    margin=st.sampled_from([0.0, -0.25, 1e300]),
)
@pytest.mark.filterwarnings("ignore:overflow")
def test_backends_agree_on_any_ragged_windows(
    values: NDArray[np.float64], cuts: list[int], segments: int, alphabet: int, margin: float, backend: Any
) -> None:
    offsets = np.array([0, *sorted(min(cut, values.size) for cut in cuts), values.size])
    got, reference = (
        words(values, offsets=offsets, segments=segments, alphabet=alphabet, margin=margin, backend=name) for name in (backend, "reference")
    )
    np.testing.assert_array_equal(got, reference)


@pytest.mark.parametrize("backend", COMPILED)
@pytest.mark.parametrize("longest", [64, 65, 129, 260])  # tiles of CUDA: one for all, a sample more than one or two, five
def test_backends_agree_on_both_sides_of_a_tile_and_of_a_block(longest: int, backend: Any) -> None:
    lengths = [longest, 0, 1, 63, 64, *range(5, 41), *[3] * 8]  # more windows than a block has threads, and not a multiple
    values = waves(1, sum(lengths))[0]
    values[::9] = NAN
    got, reference = (
        words(values, offsets=np.cumsum([0, *lengths]), segments=9, alphabet=16, backend=name) for name in (backend, "reference")
    )
    np.testing.assert_array_equal(got, reference)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("alphabet", [8, 16])
def test_words_equal_plain_sax(alphabet: int, backend: Any) -> None:
    count = at_most(40, 5)
    windows = waves(count, 64)
    scaled = (windows - windows.mean(axis=1, keepdims=True)) / windows.std(axis=1, keepdims=True)
    averages = scaled.reshape(count, 16, 4).mean(axis=2)
    expected = np.searchsorted(BREAKPOINTS[alphabet], averages, side="right")
    np.testing.assert_array_equal(words(windows, segments=16, alphabet=alphabet, backend=backend), expected)


@pytest.mark.parametrize("backend", BACKENDS)
def test_words_ignore_offset_and_gain(backend: Any) -> None:
    windows = np.round(waves(at_most(20, 4), 60) * 1024)  # whole numbers, which survive offset and gain by powers of two unrounded
    plain = words(windows, segments=12, backend=backend)
    np.testing.assert_array_equal(words(windows * 0.25 + 2.0**30, segments=12, backend=backend), plain)
    np.testing.assert_array_equal(words(windows.astype(np.float32), segments=12, backend=backend), plain)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("value", [0.0, 0.1, -1e9, 1e308, 5e-324])
def test_constant_windows_have_the_middle_symbol(value: float, backend: Any) -> None:
    assert words(np.full((2, 7), value), segments=3, backend=backend).tolist() == [[4] * 3] * 2
    assert words(np.full((1, 7), value), segments=3, alphabet=16, backend=backend).tolist() == [[8] * 3]


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_last_digit_of_noise_is_constant_and_a_real_signal_on_an_offset_is_not(backend: Any) -> None:
    noise = np.array([[1e9, np.nextafter(1e9, 2e9)] * 4])
    assert words(noise, segments=4, backend=backend).tolist() == [[4] * 4]
    assert words(1e9 + np.array([[0.0, 0.0, 1.0, 1.0]]), segments=2, backend=backend).tolist() == [[1, 6]]


@pytest.mark.parametrize("backend", BACKENDS)
def test_missing_samples_are_ignored(backend: Any) -> None:
    windows = np.array([[NAN, NAN, 1.0, NAN, -1.0, math.inf], [NAN] * 6])
    assert words(windows, segments=3, backend=backend).tolist() == [[EMPTY, 6, 1], [EMPTY] * 3]


@pytest.mark.parametrize("backend", BACKENDS)
def test_ragged_windows_equal_windows_alone(backend: Any) -> None:
    values = waves(1, 50)[0]
    offsets = np.array([0, 0, 3, 20, 50])
    together = words(values, offsets=offsets, segments=5, backend=backend)
    assert together[0].tolist() == [EMPTY] * 5
    for i in range(1, 4):
        alone = words(values[None, offsets[i] : offsets[i + 1]], segments=5, backend=backend)
        np.testing.assert_array_equal(together[i], alone[0])


def test_a_margin_moves_what_lies_within_it_of_an_end_and_nothing_else() -> None:
    windows = waves(200, 64)
    low, plain, high = (words(windows, segments=16, margin=margin).astype(int) for margin in (-0.1, 0.0, 0.1))
    assert (low <= plain).all()
    assert (plain <= high).all()
    assert 0.05 < (low < high).mean() < 0.5
    assert (high - low).max() == 1


@pytest.mark.gpu
def test_on_cuda_a_window_too_long_to_count_is_refused() -> None:
    from tamis_kernels.symbols import cuda

    with pytest.raises(ArgumentError, match=f"at most {1 << 30} samples, and as many segments; use backend='cpu'"):
        cuda.words(np.zeros(1), np.array([0, (1 << 30) + 1]), BREAKPOINTS[8], 0.0, np.empty((1, 1), np.uint8))


def test_no_windows_give_no_words() -> None:
    assert words(np.empty((0, 5)), segments=3).shape == (0, 3)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: words(np.zeros((1, 2), np.int64), segments=1), "float32 or float64"),
        (lambda: words(np.zeros((1, 2)), segments=0), "at least 1, got 0"),
        (lambda: words(np.zeros((1, 2)), segments=1, margin=np.nan), "margin must be finite, got nan"),
        (lambda: words(np.zeros((1, 2)), segments=1, alphabet=7), "one of 8, 16, got 7"),
        (lambda: words(np.zeros(2), segments=1), "without offsets"),
        (lambda: words(np.zeros((1, 2)), segments=1, offsets=np.array([0, 2])), "with offsets"),
        (lambda: words(np.zeros(2), segments=1, offsets=np.array([0, 3])), "ascend within 0 and 2"),
        (lambda: words(np.zeros(2), segments=1, offsets=np.array([0, 2, 1])), "ascend"),
        (lambda: words(np.zeros(2), segments=1, offsets=np.array([0.0])), "must be integers"),
    ],
)
def test_bad_arguments_say_what_is_wrong(call: Any, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        call()
