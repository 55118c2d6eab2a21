"""Band keys: one per band, with the band's absolute number in it; and the best bands for a threshold."""

from __future__ import annotations

from fractions import Fraction
from itertools import product
from math import comb
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backends import BACKENDS, COMPILED, assert_like_reference
from tamis_kernels import ArgumentError
from tamis_kernels.bands import keys, optimal
from tamis_kernels.bands.reference import splitmix64
from tamis_kernels.minhash import signatures

if TYPE_CHECKING:
    from tamis_kernels.backend import BackendName


def test_splitmix64_gives_the_published_sequence() -> None:
    # The well-known first outputs for the state 1234567.
    gamma = 0x9E3779B97F4A7C15
    outputs = [splitmix64((1234567 + i * gamma) % 2**64) for i in range(3)]
    assert outputs == [6457827717110365317, 3203168211198807973, 9817491932198370423]


@pytest.mark.parametrize("backend", BACKENDS)
def test_golden_keys_never_change(backend: BackendName) -> None:
    found = keys(np.arange(7, dtype=np.uint32)[None, :], bands=2, rows=3, backend=backend)
    assert found.tolist() == [[1903319179339650933, 15031851575663107478]]


@pytest.mark.parametrize("backend", COMPILED)
@given(n=st.integers(0, 5), bands=st.integers(1, 6), rows=st.integers(1, 6), spare=st.integers(0, 3), seed=st.integers(0, 99))
def test_keys_equal_the_reference(backend: BackendName, n: int, bands: int, rows: int, spare: int, seed: int) -> None:
    generator = np.random.default_rng(seed)
    table = generator.integers(0, 2**32, (n, bands * rows + spare), dtype=np.uint32)
    assert_like_reference(backend, keys, table, bands=bands, rows=rows)


@pytest.mark.parametrize("backend", BACKENDS)
def test_equal_slots_give_equal_keys_within_a_band_and_other_keys_in_another(backend: BackendName) -> None:
    found = keys(np.full((2, 64), 0xFFFFFFFF, np.uint32), bands=16, rows=4, backend=backend)
    assert (found[0] == found[1]).all()
    assert np.unique(found[0]).size == 16


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("changed", range(12))
def test_every_used_slot_changes_its_own_band_alone(backend: BackendName, changed: int) -> None:
    table = np.arange(26, dtype=np.uint32).reshape(2, 13) % 13
    table[1, changed] += 100
    found = keys(table, bands=3, rows=4, backend=backend)
    assert np.flatnonzero(found[0] != found[1]).tolist() == [changed // 4]


@pytest.mark.slow
def test_pairs_meet_as_often_as_the_s_curve_says() -> None:
    generator = np.random.default_rng(7)
    sets, shared = 4000, 12  # two sets of 16, 12 in common: Jaccard 12 / 20
    pools = generator.integers(0, 2**32, (sets, 20), dtype=np.uint32)
    offsets = np.arange(0, 16 * sets + 1, 16)
    left = signatures(pools[:, :16].ravel(), offsets, backend="cpu")
    right = signatures(pools[:, 16 - shared :].ravel(), offsets, backend="cpu")
    met = (keys(left, bands=20, rows=6, backend="cpu") == keys(right, bands=20, rows=6, backend="cpu")).any(axis=1)
    assert abs(met.mean() - (1 - (1 - 0.6**6) ** 20)) < 0.03


@pytest.mark.parametrize(
    ("threshold", "num_perm", "weights"),
    list(product([0.3, 0.7, 0.8, 0.95], [1, 16, 64], [(0.5, 0.5), (0.1, 0.9)])),
)
def test_the_best_bands_are_those_of_datasketch(threshold: float, num_perm: int, weights: tuple[float, float]) -> None:
    from datasketch.lsh import _optimal_param

    assert optimal(threshold, num_perm, *weights) == _optimal_param(threshold, num_perm, *weights)


def exact_error(threshold: Fraction, bands: int, rows: int, weights: tuple[float, float]) -> float:
    """Return the weighted areas beside the curve, whose polynomial is written out."""

    def area(s: Fraction) -> Fraction:
        """Return the integral from 0 to s of the probability that no band is shared."""
        return sum((comb(bands, k) * (-1) ** k * s ** (rows * k + 1) / (rows * k + 1) for k in range(bands + 1)), Fraction(0))

    missed = area(Fraction(1)) - area(threshold)
    return float(Fraction(weights[0]) * (threshold - area(threshold)) + Fraction(weights[1]) * missed)


@pytest.mark.parametrize("weights", [(0.5, 0.5), (0.05, 0.95), (0.95, 0.05)])
@pytest.mark.parametrize("num_perm", [2, 3, 7, 10])
def test_no_bands_have_a_smaller_error(num_perm: int, weights: tuple[float, float]) -> None:
    for step in range(1, 20):
        shapes = [(bands, rows) for bands in range(1, num_perm + 1) for rows in range(1, num_perm // bands + 1)]
        least = min(exact_error(Fraction(step / 20), *shape, weights) for shape in shapes)
        assert exact_error(Fraction(step / 20), *optimal(step / 20, num_perm, *weights), weights) == pytest.approx(least, rel=1e-9)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: keys(np.zeros((1, 8), np.uint64), bands=1, rows=1), "signatures must be uint32"),
        (lambda: keys(np.zeros(8, np.uint32), bands=1, rows=1), "signatures must be uint32"),
        (lambda: keys(np.zeros((1, 8), np.uint32), bands=3, rows=3), "9 slots; there are 8"),
        (lambda: keys(np.zeros((1, 8), np.uint32), bands=0, rows=3), "1 or more"),
        (lambda: optimal(0.0, 8), "threshold must be above 0"),
        (lambda: optimal(float("nan"), 8), "threshold must be above 0"),
        (lambda: optimal("0.5", 8), "threshold must be a number, got '0.5'"),
        (lambda: optimal(0.5, 0), "num_perm"),
        (lambda: optimal(0.5, 8.5), "num_perm must be a whole number"),
        (lambda: optimal(0.5, 8, -1.0), "weights"),
    ],
)
def test_unfit_arguments_are_refused(call: Any, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        call()
