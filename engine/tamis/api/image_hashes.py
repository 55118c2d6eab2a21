"""`image_hashes`: perceptual hashes of pictures, without a run."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from itertools import chain, islice
from typing import TYPE_CHECKING, Literal

import numpy as np
import polars as pl
from numba import get_num_threads, set_num_threads

from tamis.arguments import checked
from tamis.checks.near_duplicates.pictures import HASHES, hash_pictures, shows
from tamis.errors import ArgumentError
from tamis.media import Inspection, Limits, inspect, see_jpegs
from tamis.names import AnyPath, at_home
from tamis_kernels import perceptual
from tamis_kernels.arrays import check_one_of
from tamis_kernels.backend import BackendName, resolve

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from concurrent.futures import Future

    from numpy.typing import NDArray

    Item = str | bytes
    Hashed = tuple[list[Inspection], NDArray[np.uint64], NDArray[np.uint8]]

AT_A_TIME, AT_A_TIME_ON_GPU = 64, 1024  # which has a thread a file


@checked
def image_hashes(
    pictures: AnyPath | bytes | Iterable[AnyPath | bytes],
    hash: Literal["pdq", "phash64"] = "pdq",  # noqa: A002 - the key of the recipe
    *,
    forms: bool = False,
    limits: Limits | None = None,
    backend: BackendName = "auto",
) -> pl.DataFrame:
    """Hash pictures as the check `near_duplicates` does, one row each, in their order, on all threads that Numba may use.

    What cannot be read or decoded has a null and a reason, and raises nothing. A decoder may still crash on hostile bytes: `clean` decodes
    in processes that may.

    Parameters
    ----------
    pictures
        Paths of files, or their contents, or both; or one of these.
    hash
        `pdq` (256 bits) or `phash64` (64 bits, as `imagehash.phash`); docs/formats.md specifies both.
    forms
        Whether the hashes of the eight turned and mirrored pictures are given too.
    limits
        What a file may ask for; `tamis.media.Limits()` by default.
    backend
        Where to run; see `tamis_kernels.backend`.

    Returns
    -------
    frame
        `key` String, the path, or `#` and the number of the row where bytes were given; `hash` Binary of 32 or 8 bytes, bit *k* being bit
        `k % 8` of byte `k // 8`, so that `np.frombuffer(hash, "<u8")` has the words; `quality` UInt8, PDQ's, 0 to 100, below 50 too plain
        to compare; `forms` List(Binary), if wanted, in the order of `tamis_kernels.perceptual.dihedral`; `reason` String, null where there
        is a hash.

    Raises
    ------
    ArgumentError
        The hash is unknown, or `pictures` is no path, no content and no collection of these.
    """
    check_one_of("hash", hash, HASHES)
    given = _given(pictures)
    schema: dict[str, pl.DataType] = {"key": pl.String(), "hash": pl.Binary(), "quality": pl.UInt8(), "reason": pl.String()}
    if forms:
        schema["forms"] = pl.List(pl.Binary())
    rows: list[tuple[object, ...]] = []
    for some, (seen, hashes, quality) in _hashed(given, hash, limits, backend):
        words = hashes.astype("<u8")
        turned = perceptual.turned(np.ascontiguousarray(hashes), backend=backend).astype("<u8") if forms else None
        for number, (item, one) in enumerate(zip(some, seen, strict=True)):
            key = f"#{len(rows)}" if isinstance(item, bytes) else item
            told = (words[number].tobytes(), int(quality[number]), None) if shows(one) else (None, None, _reason(one))
            rows.append((key, *told, *(() if turned is None else ([form.tobytes() for form in turned[number]] if shows(one) else None,))))
    return pl.DataFrame(rows, schema, orient="row").select("key", "hash", "quality", *(["forms"] if forms else []), "reason")


def _given(pictures: AnyPath | bytes | Iterable[AnyPath | bytes]) -> Iterator[Item]:
    """Yield pictures one by one, for there may be more than there is memory for."""
    several = [pictures] if isinstance(pictures, (str, os.PathLike, bytes)) else pictures
    for one in several:
        if not isinstance(one, (str, os.PathLike, bytes)):
            message = f"pictures holds what is of type {type(one).__name__}; give paths of files, or their bytes"
            raise ArgumentError(message)
        yield one if isinstance(one, bytes) else os.fspath(one)


def _hashed(given: Iterable[Item], name: str, limits: Limits | None, backend: BackendName) -> Iterator[tuple[Sequence[Item], Hashed]]:
    """Yield pictures, some at a time and in their order, with what was found of them; each thread does all that some pictures need.

    A GPU has one, whose copies are then made by all.
    """

    def hashed(some: Sequence[Item]) -> Hashed:
        seen = _inspected(some, limits, backend, pixels=name == "phash64")
        return seen, *hash_pictures(seen, name, backend)[:2]

    items, cores = iter(given), get_num_threads()
    chosen = resolve(backend)
    begun = list(islice(items, AT_A_TIME_ON_GPU)) if chosen.on_gpu("photos") else []
    on_gpu = chosen.on_gpu("photos", sum(map(_size, begun)))
    threads, each, most = (1, cores, AT_A_TIME_ON_GPU) if on_gpu else (cores, 1, AT_A_TIME)
    waiting: deque[tuple[Sequence[Item], Future[Hashed]]] = deque()
    items = chain(begun, items)
    with ThreadPoolExecutor(threads, initializer=set_num_threads, initargs=(each,)) as pool:
        while some := list(islice(items, most)):
            waiting.append((some, pool.submit(hashed, some)))
            if len(waiting) > 2 * threads:
                first, future = waiting.popleft()
                yield first, future.result()
        for first, future in waiting:
            yield first, future.result()


def _size(item: Item) -> int:
    """Return the bytes of a picture; 0 where it cannot be read, of which its row tells."""
    try:
        return len(item) if isinstance(item, bytes) else at_home(item).stat().st_size
    except (OSError, ValueError):
        return 0


def _inspected(some: Iterable[Item], limits: Limits | None, backend: BackendName, *, pixels: bool) -> list[Inspection]:
    """Read and decode pictures; what cannot be read is undecodable."""
    read: list[bytes | str] = []
    for item in some:
        try:
            read.append(item if isinstance(item, bytes) else at_home(item).read_bytes())
        except (OSError, ValueError) as error:  # ValueError: a path with a null byte
            read.append(str(error))
    jpegs = see_jpegs([data if isinstance(data, bytes) else b"" for data in read], backend, pixels=pixels)
    return [
        inspect(data, name="", limits=limits, walk=walk, told=told)
        if isinstance(data, bytes)
        else Inspection("undecodable", "unreadable", data)
        for data, (walk, told) in zip(read, jpegs, strict=True)
    ]


def _reason(one: Inspection) -> str:
    """Say why there is no hash."""
    said = f"{one.grade}: {one.reason or 'no picture'}"
    return f"{said}: {one.detail}" if one.detail else said
