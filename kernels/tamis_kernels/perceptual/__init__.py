"""PDQ: a 256-bit perceptual hash of a picture, and the quality that says what the hash is worth.

The algorithm is Meta's PDQ ("The TMK+PDQF video-hashing algorithm and the PDQ image-hashing algorithm", 2019; ThreatExchange, BSD):
two passes of a box filter along both axes (Jarosz 2001), decimation to 64 x 64 blocks, a 16 x 16 DCT-II without its constant
row and column, one bit per coefficient that lies above the median. The arithmetic differs from the C++ original, which rounds in
float32 in an order of its own: here every product and every sum is a whole number below 2⁵³ held in a float64, hence exact. The
hash therefore does not depend on the order of summation, on fused multiply-adds or on the processor.

Bit `16·i + j` is the coefficient of vertical frequency `i + 1` and horizontal frequency `j + 1`; bit `k` is bit `k % 64` of word
`k // 64`. The Python package `pdqhash` gives the same bits from the last to the first: `pdqhash.compute(…)[0][255 - k]`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tamis_kernels.arrays import check_array, check_pictures
from tamis_kernels.backend import implementation
from tamis_kernels.errors import ArgumentError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tamis_kernels.backend import AnyBackend
    from tamis_kernels.types import Float32s, Float64s, Int64s, Uint8s, Uint16s, Uint64s

__all__ = [
    "FLIPS",
    "QUALITY_WORTH_HASHING",
    "describe",
    "dihedral",
    "likeness",
    "pack",
    "parted",
    "pdq",
    "pdq_batch",
    "phash64",
    "transposed",
    "turned",
]

QUALITY_WORTH_HASHING = 50
"""Pictures below this quality are nearly featureless: their hashes collide without meaning (PDQ's own recommendation)."""

FLIPS = np.array([[0, 0, 0, 0], [0, 1, 0, 1], [0, 0, 1, 1], [0, 1, 1, 0]], np.bool_)
"""The words of parted hashes that are turned over where nothing is flipped, the rows are, the columns are, both are."""

_FLOAT_LEVELS = 16  # a float luma is rounded to sixteenths of a grey level


def _cosines_32() -> Float64s:
    """Return the rows 0 to 7 of the 32-point DCT-II, each scaled as no comparison minds, in units of 2⁻²⁰, rounded to whole numbers."""
    cosines: Float64s = np.cos(np.pi / 64 * np.arange(8)[:, None] * (2 * np.arange(32)[None, :] + 1))
    np.rint(2.0**20 * cosines, out=cosines)
    return cosines


def _cosines() -> Float64s:
    """Return the rows 1 to 16 of the orthonormal 64-point DCT-II in units of 2⁻²⁰, rounded to whole numbers."""
    frequency, position = np.arange(1, 17)[:, None], np.arange(64)[None, :]
    cosines: Float64s = np.sqrt(2 / 64) * np.cos(np.pi / 128 * frequency * (2 * position + 1))
    np.rint(2.0**20 * cosines, out=cosines)
    return cosines


COSINES = _cosines()
_COSINES_32 = _cosines_32()


def pdq(luma: Uint8s | Float32s, *, backend: AnyBackend = "auto") -> tuple[Uint64s, int]:
    """Hash one picture.

    Parameters
    ----------
    luma
        Grey picture of shape (height, width): uint8, or float32 in 0 … 255, which is rounded to sixteenths.
    backend
        Where to run; see `tamis_kernels.backend`.

    Returns
    -------
    hash, quality
        uint64[4], and 0 … 100: the sum of the gradients of the 64 x 64 blocks. A picture with a side below 5 pixels has the hash 0
        and the quality 0.

    Raises
    ------
    ArgumentError
        The picture is not two-dimensional, or of another dtype, or holds NaN or values outside 0 … 255.
    """
    hashes, quality = _hash_forms(luma, 1, backend)
    return hashes[0], quality


def dihedral(luma: Uint8s | Float32s, *, backend: AnyBackend = "auto") -> tuple[Uint64s, int]:
    """Hash the eight turned and flipped pictures from one transform: a flip turns signs of coefficients, a turn exchanges them too.

    Parameters
    ----------
    luma
        As for `pdq`.
    backend
        Where to run; see `tamis_kernels.backend`.

    Returns
    -------
    hashes, quality
        uint64[8, 4]: as it is; turned by 90, 180, 270 degrees anticlockwise; rows flipped; columns flipped; transposed; transposed along
        the other diagonal. The order is the original's. Row 0 is what `pdq` gives.

    Raises
    ------
    ArgumentError
        As for `pdq`.
    """
    return _hash_forms(luma, 8, backend)


def _hash_forms(luma: Uint8s | Float32s, forms: int, backend: AnyBackend) -> tuple[Uint64s, int]:
    pixels, scale = _levels(luma)
    out = np.zeros((forms, 4), np.uint64)
    quality = implementation("perceptual.pdq", backend, pixels.nbytes).hash_forms(pixels, scale, *luma.shape, COSINES, out)
    return out, int(quality)


def turned(hashes: Uint64s, *, backend: AnyBackend = "auto") -> Uint64s:
    """Derive the hashes of the eight turned and flipped pictures from the upright hashes alone.

    A flip turns the signs of odd frequencies, a turn exchanges rows and columns besides: bits are turned over and exchanged, which keeps
    distances, and turning back gives the hash again. `dihedral` has the coefficients and sets the bits anew about the median of the turned
    ones, which is not quite the old median with its sign turned; a coefficient between the two has another bit there.

    Parameters
    ----------
    hashes
        uint64[n, 4], as `pdq_batch` gives them, or uint64[n, 1], as `phash64` does.
    backend
        Where to run; see `tamis_kernels.backend`.

    Returns
    -------
    variants
        uint64[n, 8, words] in the order of `dihedral`; variant 0 is the hash itself.

    Raises
    ------
    ArgumentError
        The hashes are neither uint64[n, 4] nor uint64[n, 1].
    """
    hashes = _words(hashes, 4, 1)
    out = np.zeros((len(hashes), 8, hashes.shape[1]), np.uint64)
    implementation("perceptual.turned", backend, hashes.nbytes).turn(hashes, out)
    return out


def parted(hashes: Uint64s, *, backend: AnyBackend = "auto") -> Uint64s:
    """Order the bits of hashes by the parities of their frequencies, so that a flip turns over whole words.

    Parameters
    ----------
    hashes
        uint64[n, 4], as `pdq_batch` gives them.
    backend
        Where to run; see `tamis_kernels.backend`.

    Returns
    -------
    parted
        uint64[n, 4]: the bits of even vertical and even horizontal frequencies, of odd and even, of even and odd, of odd and odd ones.
        Distances are those of the hashes. `FLIPS` are the words that flips turn over.

    Raises
    ------
    ArgumentError
        The hashes are not uint64[n, 4].
    """
    given = _words(hashes, 4)
    out = np.zeros(given.shape, np.uint64)
    implementation("perceptual.parted", backend, given.nbytes).part(given, out)
    return out


def transposed(parted: Uint64s, *, backend: AnyBackend = "auto") -> Uint64s:
    """Return the parted hashes, uint64[n, 4], of the transposed pictures; with `FLIPS` these are all that are turned by a quarter.

    Raises
    ------
    ArgumentError
        The hashes are not uint64[n, 4].
    """
    given = _words(parted, 4)
    out = np.zeros(given.shape, np.uint64)
    implementation("perceptual.parted", backend, given.nbytes).transpose(given, out)
    return out


def phash64(pictures: Uint8s, *, backend: AnyBackend = "auto") -> Uint64s:
    """Hash grey pictures of 32 x 32 pixels as `imagehash.phash` does: the lowest 8 x 8 frequencies of a DCT-II against their median.

    The package shrinks a picture with Pillow: `image.convert("L").resize((32, 32), Image.Resampling.LANCZOS)`. From the same 32 x 32 pixels
    the bits are the same, unless two coefficients lie closer than rounding in whole numbers of 2⁻²⁰ or in floats tells apart, as in a flat
    picture.

    Parameters
    ----------
    pictures
        uint8[n, 32, 32].
    backend
        Where to run; see `tamis_kernels.backend`.

    Returns
    -------
    hashes
        uint64[n]: bit `8·i + j` is the coefficient of vertical frequency `i` and horizontal frequency `j`. imagehash writes these bits from
        the first to the last as one hexadecimal number, the first the highest.

    Raises
    ------
    ArgumentError
        The pictures are not uint8[n, 32, 32].
    """
    check_array("pictures", pictures, np.uint8, ("n", 32, 32))
    out = np.zeros(len(pictures), np.uint64)
    implementation("perceptual.phash64", backend, pictures.nbytes).hash_64(np.ascontiguousarray(pictures), _COSINES_32, out)
    return out


def pack(pictures: Sequence[Uint8s]) -> tuple[Uint8s, Int64s]:
    """Lay grey pictures, uint8[height, width] of any sizes, end to end, as `describe` and `quality.measure` take them.

    Returns
    -------
    pixels, shapes
        uint8[sum of height · width]: the rows of one picture after another; int64[n, 2]: their heights and widths.
    """
    if not pictures:
        return np.zeros(0, np.uint8), np.zeros((0, 2), np.int64)
    return np.concatenate([picture.ravel() for picture in pictures]), np.array([picture.shape for picture in pictures], np.int64)


def pdq_batch(pixels: Uint8s, shapes: Int64s, *, extents: Int64s | None = None, backend: AnyBackend = "auto") -> tuple[Uint64s, Uint8s]:
    """Return the hashes and qualities of many pictures; see `describe`, which gives more of them."""
    return describe(pixels, shapes, extents=extents, backend=backend)[:2]


def describe(
    pixels: Uint8s, shapes: Int64s, *, extents: Int64s | None = None, backend: AnyBackend = "auto"
) -> tuple[Uint64s, Uint8s, Uint8s]:
    """Hash and shrink many pictures at once, on all cores.

    Parameters
    ----------
    pixels
        uint8[sum of height · width]: the pictures' rows, end to end.
    shapes
        int64[n, 2]: height and width of each picture.
    extents
        int64[n, 2]: the size that the picture has where its values are means of cells of 8 x 8 pixels, as the walk over a JPEG gives
        them; the shape itself, as by default, where they are pixels.
        Between the means the picture is drawn by Catmull-Rom's cubic. Of photos of 256 pixels and more on the short side the hash is
        8 bits of 256 from that of all pixels, in the mean.
    backend
        Where to run; see `tamis_kernels.backend`.

    Returns
    -------
    hashes, qualities
        uint64[n, 4] and uint8[n], equal to what `pdq` gives for each picture alone.
    small
        uint8[n, 256]: the rows of the grey picture of 16 x 16 that the means of 4 x 4 of PDQ's blocks make, rounded; 0 without a hash.

    Raises
    ------
    ArgumentError
        The shapes do not add up to the pixels, or an extent is neither its picture's shape nor one of which it holds the cells.
    """
    offsets = check_pictures(pixels, shapes)
    hashes = np.zeros((len(shapes), 4), np.uint64)
    qualities = np.zeros(len(shapes), np.uint8)
    small = np.zeros((len(shapes), 256), np.uint8)
    module = implementation("perceptual", backend, pixels.nbytes)
    shapes = np.ascontiguousarray(shapes, np.int64)
    extents = shapes if extents is None else np.ascontiguousarray(extents, np.int64)
    fits = extents.shape == shapes.shape and bool(((extents == shapes).all(1) | ((extents + 7) // 8 == shapes).all(1)).all())
    if not fits:
        message = f"extents must be the shapes, or eight times as large, the last cell cut off or not: got {extents} for {shapes}"
        raise ArgumentError(message)
    module.hash_batch(np.ascontiguousarray(pixels), offsets, shapes, extents, COSINES, hashes, qualities, small)
    return hashes, qualities, small


def likeness(left: Uint8s, right: Uint8s, *, backend: AnyBackend = "auto") -> Float64s:
    """Say how alike pairs of small pictures are, whatever their brightness and contrast.

    It is the largest of five correlations, those of the whole pictures and of their upper, lower, left and right halves: a caption or a bar
    changes one half alone. Sums are whole numbers; one product, one root and one quotient are rounded.

    Parameters
    ----------
    left, right
        uint8[pairs, 256], as `describe` gives them.
    backend
        Where to run; see `tamis_kernels.backend`.

    Returns
    -------
    likeness
        float64[pairs], 0 … 1; 0 where nothing correlates or every half is flat.

    Raises
    ------
    ArgumentError
        The pictures are not uint8[pairs, 256] of equal number.
    """
    check_array("left", left, np.uint8, ("n_pairs", 256))
    check_array("right", right, np.uint8, left.shape)
    out = np.zeros(len(left))
    module = implementation("perceptual.likeness", backend, left.nbytes + right.nbytes)
    module.correlate(np.ascontiguousarray(left), np.ascontiguousarray(right), out)
    return out


def _words(hashes: Uint64s, *words: int) -> Uint64s:
    check_array("hashes", hashes, np.uint64, ("n", "words"))
    if hashes.shape[1] not in words:
        message = f"hashes must be {' or '.join(f'uint64[n, {number}]' for number in words)}, got {hashes.dtype}{list(hashes.shape)}"
        raise ArgumentError(message)
    return np.ascontiguousarray(hashes)


def _levels(luma: Uint8s | Float32s) -> tuple[Uint8s | Uint16s, int]:
    """Return the luma as whole numbers, and how many sixteenths of a grey level one of them is."""
    check_array("luma", luma, (np.uint8, np.float32), ("height", "width"), "pass one grey picture")
    if luma.dtype == np.uint8:
        return np.ascontiguousarray(luma, np.uint8), _FLOAT_LEVELS
    if luma.size and not (luma.min() >= 0 and luma.max() <= 255):
        message = f"float luma must lie in 0 … 255 and hold no NaN, got {luma.min()} … {luma.max()}; scale or clip it first"
        raise ArgumentError(message)
    return np.rint(luma * np.float32(_FLOAT_LEVELS)).astype(np.uint16), 1
