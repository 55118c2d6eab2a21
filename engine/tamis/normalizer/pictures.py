"""Mean and deviation of the channels of 8-bit pictures: exact from counts of bytes, applied by a table of 256 numbers a channel."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tamis.arguments import checked
from tamis.errors import ArgumentError
from tamis.normalizer.inputs import check_fitted, check_format
from tamis_kernels import affine
from tamis_kernels.histogram import byte_counts
from tamis_kernels.moments import Moments

FORMAT = "tamis-picture-normalizer/1"


class PictureNormalizer:
    """Bring the channels of uint8 pictures to mean 0 and deviation 1.

    Pictures have the shape (…, channels) and may differ in size. What is kept are counts of bytes, so that fits are exact, merge, and
    do not depend on the order of the pictures.

    Attributes
    ----------
    counts_
        int64[channels, 256]: how often each byte occurs.
    mean_, std_
        float64[channels], in units of the bytes; divide by 255 for libraries that scale to 0 … 1 first. Rounded once.
    """

    counts_: NDArray[np.int64]
    mean_: NDArray[np.float64]
    std_: NDArray[np.float64]

    def __repr__(self) -> str:
        """Return what it has learnt, rounded."""
        known = [f"{name}={getattr(self, f'{name}_').round(3).tolist()}" for name in ("mean", "std") if hasattr(self, "counts_")]
        return f"PictureNormalizer({', '.join(known)})"

    @checked
    def partial_fit(self, pixels: NDArray[np.uint8]) -> PictureNormalizer:
        """Learn from one more picture or batch of pictures."""
        return self.add(byte_counts(pixels))

    @checked
    def fit(self, pixels: NDArray[np.uint8]) -> PictureNormalizer:
        """Learn from a picture or batch of pictures alone."""
        vars(self).clear()
        return self.partial_fit(pixels)

    @checked
    def add(self, counts: ArrayLike) -> PictureNormalizer:
        """Learn from counts of bytes per channel: those of other pictures, or negative ones to take pictures out again."""
        more = np.asarray(counts)
        if more.dtype.kind not in "iu":
            message = f"counts must be whole numbers, got {more.dtype} of shape {more.shape}"
            raise ArgumentError(message)
        more = more.astype(np.int64)
        before = getattr(self, "counts_", np.zeros_like(more))
        total = before + more if before.shape == more.shape else more
        if more.ndim != 2 or more.shape[1] != 256 or (total < 0).any() or before.shape != more.shape:
            known = f"({len(before)}, 256), as before" if hasattr(self, "counts_") else "(channels, 256)"
            message = f"counts must have shape {known}, and leave no byte below 0, got shape {more.shape}; pictures need equal channels"
            raise ArgumentError(message)
        moments = [_moments(row) for row in total.tolist()]
        self.counts_ = total
        self.mean_ = np.array([each.mean() for each in moments])
        self.std_ = np.array([each.std() for each in moments])
        return self

    @checked
    def transform(self, pixels: NDArray[np.uint8], *, out: NDArray[np.float32] | None = None) -> NDArray[np.float32]:
        """Return (byte - mean_) / std_ in float32, two operations rounded one by one; a constant channel becomes 0."""
        return affine.lookup(pixels, self.tables(), out=out)

    def tables(self) -> NDArray[np.float32]:
        """Return what becomes of each byte, float32[channels, 256]."""
        check_fitted(self, "counts_")
        bytes_ = np.repeat(np.arange(256, dtype=np.float32)[:, None], len(self.counts_), axis=1)
        scale = np.where(self.std_ == 0, 1.0, self.std_)
        return np.ascontiguousarray(affine.transform(bytes_, self.mean_, scale).T)

    @checked
    def inverse_transform(self, values: NDArray[np.float32]) -> NDArray[np.uint8]:
        """Return the bytes that values of `transform` came from; other values become the nearest byte."""
        check_fitted(self, "counts_")
        moved = np.asarray(values, np.float64) * np.where(self.std_ == 0, 1.0, self.std_) + self.mean_
        return np.clip(np.rint(moved), 0, 255).astype(np.uint8)

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-safe dict, from which `from_dict` makes an equal normalizer."""
        check_fitted(self, "counts_")
        return {"format": FORMAT, "counts": self.counts_.tolist()}

    @classmethod
    @checked
    def from_dict(cls, state: Mapping[str, Any]) -> PictureNormalizer:
        """Return the normalizer that `to_dict` wrote."""
        check_format(state, FORMAT, "a normalizer of pictures")
        return cls().add(state["counts"])


def _moments(counts: list[int]) -> Moments:
    """Return the exact moments of bytes that occur so often."""
    some = [byte for byte, count in enumerate(counts) if count]
    return Moments(
        count=sum(counts),
        minimum=float(some[0]) if some else None,
        maximum=float(some[-1]) if some else None,
        total=Fraction(sum(byte * count for byte, count in enumerate(counts))),
        squares=Fraction(sum(byte * byte * count for byte, count in enumerate(counts))),
    )
