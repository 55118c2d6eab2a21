"""Where each figure of a picture lies in its row, and the constants that define the figures."""

from __future__ import annotations

import numpy as np

FIGURES = (
    "cells",
    "total",
    "squares",
    "entropy",
    "darkest",
    "p1",
    "p5",
    "p50",
    "p95",
    "p99",
    "brightest",
    "mode_cells",
    "near_cells",
    "black",
    "white",
    "near_steps",
    "near_pairs",
    "far_steps",
    "far_pairs",
    "top",
    "bottom",
    "left",
    "right",
    "top_edge",
    "bottom_edge",
    "left_edge",
    "right_edge",
    "chroma_cells",
    "chroma_largest",
    "chroma_total",
)

(
    CELLS, TOTAL, SQUARES, ENTROPY, DARKEST, P1, _, _, _, _, BRIGHTEST, MODE, NEAR, BLACK, WHITE, NEAR_STEPS, NEAR_PAIRS, FAR_STEPS,
    FAR_PAIRS, TOP, _, _, _, TOP_EDGE, _, _, _, CHROMA, _, _,
) = range(len(FIGURES))  # fmt: skip
"""Columns of a picture's row; those without a name follow the one before them in the order of `FIGURES`."""

PERCENTILES = (1, 5, 50, 95, 99)
SPAN = 5  # levels beside one another that count as one in `near_cells`
BAR_TOLERANCE = 4  # levels by which a bar may stray from its corner: JPEG's ringing
LAG_SIDE = 64  # steps are measured over a 64th of the longer side
NEUTRAL = 128

LOG_BITS = 16
LOGS = np.concatenate([[0.0], np.rint(np.log2(np.arange(1, 2**LOG_BITS + 1)) * 2.0**24)]).astype(np.int64)
"""Binary logarithms of 1 … 65,536 in units of 2⁻²⁴; whole numbers, so that entropy does not depend on a processor's logarithm."""
