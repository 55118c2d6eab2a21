"""Figures of quality of small pictures: one compiled pass in whole numbers against NumPy, and against reading the bytes once."""

from __future__ import annotations

import numpy as np
from harness import Report, fastest
from numpy.typing import NDArray

from tamis_kernels import perceptual, quality

SHAPE, CHROMA = (47, 63), 2 * 24 * 32  # a photo of 500 x 375 pixels, 4:2:0, at 1/8 scale
BATCH = 32


def numpy_figures(gray: NDArray[np.uint8], chroma: NDArray[np.uint8]) -> tuple[float, ...]:
    """Compute the same with NumPy, picture by picture."""
    counts = np.bincount(gray.ravel(), minlength=256)
    levels, n = np.arange(256), gray.size
    mean = counts @ levels / n
    shares = counts[counts > 0] / n
    below = np.cumsum(counts)
    percentiles = np.searchsorted(below, np.array([1, 5, 50, 95, 99]) * n / 100)
    wide = gray.astype(np.int32)
    steps = [np.sum((wide[k:] - wide[:-k]) ** 2) + np.sum((wide[:, k:] - wide[:, :-k]) ** 2) for k in (1, 2)]
    strays = (np.abs(wide - wide[0, 0]) > 4, np.abs(wide - wide[-1, -1]) > 4)
    bars = (*(one.any(axis).argmax() for one in strays for axis in (0, 1)), *(one.sum() for one in strays))
    away = np.abs(chroma.astype(np.int32) - 128)
    near = np.convolve(counts, np.ones(5, np.int64)).max()
    return (mean, counts @ (levels - mean) ** 2, -(shares @ np.log2(shares)), *percentiles, near, *steps, *bars, away.max(), away.mean())


def main() -> None:
    """Check and time."""
    report = Report.from_arguments("quality: figures of small pictures")
    count = 256 if report.quick else 4096
    rng = np.random.default_rng(1)
    coarse = rng.integers(0, 256, (count, 6, 8))
    pictures = [
        np.kron(one, np.ones((8, 8)))[: SHAPE[0], : SHAPE[1]].astype(np.uint8) // 2 + rng.integers(0, 60, SHAPE).astype(np.uint8)
        for one in coarse
    ]
    chroma = [rng.integers(90, 160, CHROMA).astype(np.uint8) for _ in pictures]
    small = slice(0, 50)
    sizes = np.full(count, CHROMA, np.int64)
    told = [
        quality.measure(*perceptual.pack(pictures[small]), np.concatenate(chroma[small]), sizes[small], backend=backend)
        for backend in ("reference", "cpu")
    ]
    report.check("the compiled figures are those of the reference", all((told[0][name] == told[1][name]).all() for name in quality.FIGURES))
    work = [(pictures[at : at + BATCH], np.concatenate(chroma[at : at + BATCH])) for at in range(0, count, BATCH)]

    def compiled() -> None:
        for some, values in work:
            quality.measure(*perceptual.pack(some), values, sizes[: len(some)], backend="cpu")

    everything = np.concatenate([*(one.ravel() for one in pictures), *chroma])
    once = fastest(lambda: int(everything.view(np.uint64).max()))
    report.time(
        f"{SHAPE[1]} x {SHAPE[0]} and {CHROMA} chroma",
        {
            "one pass, 32 at a time": compiled,
            "one at a time": lambda: [
                quality.measure(*perceptual.pack([one]), two, sizes[:1], backend="cpu") for one, two in zip(pictures, chroma, strict=True)
            ],
            "NumPy": lambda: [numpy_figures(one, two) for one, two in zip(pictures, chroma, strict=True)],
        },
        work=count,
        unit="pictures",
        limit=count / once,
        limit_note="reading the bytes once",
    )


if __name__ == "__main__":
    main()
