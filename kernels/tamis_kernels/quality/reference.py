"""Figures of quality, each as its definition reads."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tamis_kernels.quality.layout import BAR_TOLERANCE, FIGURES, LAG_SIDE, LOG_BITS, NEUTRAL, PERCENTILES, SPAN

if TYPE_CHECKING:
    from tamis_kernels.types import Int64s, Uint8s


def measure_all(
    pixels: Uint8s, offsets: Int64s, shapes: Int64s, chroma: Uint8s, chroma_offsets: Int64s, logs: Int64s, figures: Int64s
) -> None:
    """Write the figures of each picture into its row."""
    for number, (height, width) in enumerate(shapes):
        picture = pixels[offsets[number] : offsets[number + 1]].reshape(height, width).astype(np.int64)
        found: dict[str, int] = dict.fromkeys(FIGURES, 0)
        if picture.size:
            found |= _levels(picture, logs) | _steps(picture) | _bars(picture)
        found |= _chroma(chroma[chroma_offsets[number] : chroma_offsets[number + 1]].astype(np.int64))
        figures[number] = [found[name] for name in FIGURES]


def _levels(picture: Int64s, logs: Int64s) -> dict[str, int]:
    counts = np.bincount(picture.ravel(), minlength=256)
    levels = np.sort(picture.ravel())
    n = picture.size
    found = {f"p{share}": int(levels[-(-share * n // 100) - 1]) for share in PERCENTILES}
    return found | {
        "cells": n,
        "total": int(picture.sum()),
        "squares": int((picture**2).sum()),
        "entropy": (n * _log(n, logs) - sum(int(count) * _log(int(count), logs) for count in counts)) // n,
        "darkest": int(levels[0]),
        "brightest": int(levels[-1]),
        "mode_cells": int(counts.max()),
        "near_cells": int(np.convolve(counts, np.ones(SPAN, np.int64)).max()),
        "black": int(counts[0]),
        "white": int(counts[255]),
    }


def _log(count: int, logs: Int64s) -> int:
    """Return the binary logarithm; of a number beyond the table, that of its leading bits."""
    shift = max(0, count.bit_length() - LOG_BITS)
    return (shift << 24) + int(logs[count >> shift])


def _steps(picture: Int64s) -> dict[str, int]:
    lag = max(1, max(picture.shape) // LAG_SIDE)
    found: dict[str, int] = {}
    for name, step in (("near", lag), ("far", 2 * lag)):
        steps = [(picture[step:] - picture[:-step]).ravel(), (picture[:, step:] - picture[:, :-step]).ravel()]
        found |= {f"{name}_steps": sum(int((one**2).sum()) for one in steps), f"{name}_pairs": sum(one.size for one in steps)}
    return found


def _bars(picture: Int64s) -> dict[str, int]:
    found: dict[str, int] = {}
    for name, turned in (("top", picture), ("bottom", picture[::-1, ::-1]), ("left", picture.T), ("right", picture.T[::-1, ::-1])):
        strays = np.abs(turned - turned[0, 0]) > BAR_TOLERANCE
        lines = np.flatnonzero(strays.any(axis=1))
        bar = int(lines[0]) if lines.size else len(turned)
        behind = min(bar + 1, len(turned) - 1)
        found |= {name: bar, f"{name}_edge": int(strays[behind].sum())}
    return found


def _chroma(values: Int64s) -> dict[str, int]:
    away = np.abs(values - NEUTRAL)
    return {"chroma_cells": away.size, "chroma_largest": int(away.max(initial=0)), "chroma_total": int(away.sum())}
