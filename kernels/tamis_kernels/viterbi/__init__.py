"""Spans of a series that are told on another scale: a hidden Markov chain of two states, solved by Viterbi's recursion (Forney 1973).

A row is in state 0, as it stands, or in state 1, where it is `scale` times the true value plus `offset`. A path costs, for each two rows
that are joined, the step between their true values in units of `spread`, `cap` at most; `switch` for each change of state; and the
logarithm of `scale` for each step in state 1, for a scale spreads what it stretches: a density. It is the likelihood of a walk with
Laplacian steps, cut off so that one leap, true or false, costs no more than `cap`. Equal neighbours say nothing of the scale: a stuck
sensor is not converted.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from tamis_kernels.arrays import check_array, read_only
from tamis_kernels.backend import implementation
from tamis_kernels.errors import ArgumentError

if TYPE_CHECKING:
    from tamis_kernels.backend import AnyBackend
    from tamis_kernels.types import Bools, Float64s, Uint8s

__all__ = ["converted_spans"]


def converted_spans(
    value: Float64s,
    joined: Bools,
    scale: float,
    offset: float,
    *,
    spread: float,
    cap: float = 20.0,
    switch: float = 10.0,
    backend: AnyBackend = "auto",
) -> tuple[Uint8s, float]:
    """Find the rows that are most likely converted.

    Parameters
    ----------
    value
        ndarray of shape (n,), float64, finite, and so is what it is converted to.
    joined
        ndarray of shape (n,), bool: whether the step from the row before counts; that of the first row is not looked at.
    scale, offset
        A converted row is true value * scale + offset; scale is not 0.
    spread
        Typical step between true values, above 0.
    cap, switch
        What a step costs at most, and what a change of state costs.
    backend
        Where to run.

    Returns
    -------
    states, ndarray of shape (n,), uint8: 1 where converted; and what this path saves against one without conversion, 0 or more

    Raises
    ------
    ArgumentError
        An argument has the wrong dtype, shape or value.
    """
    check_array("value", value, np.float64, ("n",))
    check_array("joined", joined, np.bool_, value.shape)
    if not (math.isfinite(scale) and scale != 0 and math.isfinite(offset) and spread > 0 and cap >= 0 and switch >= 0):
        message = (
            "scale must not be 0, spread must be above 0, cap and switch not negative; got "
            f"scale {scale}, offset {offset}, spread {spread}, cap {cap}, switch {switch}"
        )
        raise ArgumentError(message)
    with np.errstate(over="ignore"):
        finite = np.isfinite(value).all() and np.isfinite((value - offset) / scale).all()
    if not finite:
        message = "value must be finite, also when it is converted: leave out missing rows"
        raise ArgumentError(message)
    states = np.zeros(value.size, np.uint8)
    numbers = [float(one) for one in (scale, offset, spread, cap, math.log(abs(scale)), switch)]
    given = [read_only(value), read_only(joined)]
    saved = implementation("viterbi", backend, value.nbytes).converted_spans(*given, *numbers, states)
    return states, float(saved)
