"""Write what stays of a container: in its own shape, or as files in a folder of its name."""

from __future__ import annotations

from itertools import chain, compress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import xxhash
from isal import igzip

from tamis.checks.base import Finding
from tamis.files import whole
from tamis.media.sniff import HEAD_BYTES, sniff
from tamis.pipeline.files import digest
from tamis.pipeline.plan import relative_path
from tamis.pipeline.rows import UNREADABLE_ROWS
from tamis.sources.listing import as_bytes
from tamis.sources.mediatables import copy_table
from tamis.sources.members import sample_key
from tamis.sources.payload import Unavailable, verify_unchanged
from tamis.sources.tars import copy_tar
from tamis.sources.zips import DamagedZipError, copy_zip

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from tamis.pipeline.plan import Plan
    from tamis.sources.listing import Container, SourceFile

_EXTENSIONS = {"jpeg": "jpg"}


def pack(plan: Plan, files: Sequence[SourceFile], alive: NDArray[np.bool_]) -> tuple[list[dict[str, Any]], list[Finding]]:
    """Write the living members of a container; return one entry a file written, and findings about members by their place among `files`."""
    container = files[0].container
    assert container is not None
    kept = list(compress(files, alive))
    if not kept:
        return [], []
    try:
        verify_unchanged(files[0])
        if plan.recipe.output.shape == "files":
            return _as_files(plan, container, files, alive)
        target = Path(plan.out, "clean", relative_path(plan, container))
        along, late = _riding(plan, container, files, alive)
        with whole(target, plan.room) as temporary:
            lost = _same_shape(plan, container, [file.offset for file in (*kept, *along)], temporary)
    except (Unavailable, DamagedZipError, pa.ArrowException) as error:
        reason = error.reason if isinstance(error, (Unavailable, DamagedZipError)) else UNREADABLE_ROWS
        return [], [Finding(int(i), reason, "reject", str(error)) for i in np.flatnonzero(alive)]
    late += [Finding(i, UNREADABLE_ROWS, "reject", lost[file.offset]) for i, file in enumerate(files) if alive[i] and file.offset in lost]
    left = alive.copy()
    left[[finding.index for finding in late]] = False
    entry = {"record": container.record, "rows": int(left.sum()), "bytes": target.stat().st_size, "xxh3_128": digest(target)}
    return [{"path": shown_path(plan, target), **entry}], late + _partial(files, left)


def _same_shape(plan: Plan, container: Container, offsets: list[int], path: Path) -> dict[int, str]:
    """Write the members with these offsets, and return those of them that could not be read, with the reason."""
    if container.column:
        lost = copy_table(container, np.array(offsets), path, plan.recipe.output.compression)
        if len(lost) == len(offsets):
            raise Unavailable(UNREADABLE_ROWS, lost[offsets[0]])
        return lost
    with path.open("wb") as file:
        if container.format == "zip":
            copy_zip(container, frozenset(offsets), file)
        elif container.unpacked:
            with igzip.IGzipFile("", "wb", fileobj=file, mtime=0) as packed:  # type: ignore[no-untyped-call]
                copy_tar(container, frozenset(offsets), packed)
        else:
            copy_tar(container, frozenset(offsets), file)
    return {}


def _as_files(
    plan: Plan, container: Container, files: Sequence[SourceFile], alive: NDArray[np.bool_]
) -> tuple[list[dict[str, Any]], list[Finding]]:
    written: list[dict[str, Any]] = []
    late: list[Finding] = []

    def write(name: str, record: str, data: bytes) -> None:
        target = Path(plan.out, "clean", name)
        with whole(target, plan.room) as temporary:
            temporary.write_bytes(data)
        written.append(
            {"path": shown_path(plan, target), "record": record, "bytes": len(data), "xxh3_128": xxhash.xxh3_128_hexdigest(data)}
        )

    with plan.payloads() as payloads:
        for position in np.flatnonzero(alive).tolist():
            try:
                data = payloads.read(files[position])
            except Unavailable as error:
                late.append(Finding(position, error.reason, "reject", error.detail))
                continue
            write(_member_path(plan, files[position], data), files[position].record, data)
        for position, file in _along(plan, container, files, alive):
            try:
                write(relative_path(plan, file), file.record, payloads.read(file))
            except Unavailable as error:
                late.append(_companion_lost(position, file, error))
    return written, late + _partial(files, alive)


def _member_path(plan: Plan, file: SourceFile, data: bytes) -> str:
    """Return where a member goes: a row has no name, and gets its number and the extension of what it holds."""
    if file.container is None or not file.container.column:
        return relative_path(plan, file)
    found = sniff(data[:HEAD_BYTES], size=len(data)).name
    return f"{relative_path(plan, file.container)}/{file.offset}.{_EXTENSIONS.get(found, found)}"


def _along(plan: Plan, container: Container, files: Sequence[SourceFile], alive: NDArray[np.bool_]) -> Iterator[tuple[int, SourceFile]]:
    """Yield once what rides along with the members that stay, each with the place of one of them; what goes with all is with the first."""
    kept = np.flatnonzero(alive).tolist()
    seen: set[int] = set()
    of_one = ((position, one) for position in kept for one in files[position].companions)
    of_all = ((kept[0], one) for one in plan.whole_set if one.container == container)
    for place, file in chain(of_one, of_all):
        if file.offset not in seen:
            seen.add(file.offset)
            yield place, file


def _riding(
    plan: Plan, container: Container, files: Sequence[SourceFile], alive: NDArray[np.bool_]
) -> tuple[list[SourceFile], list[Finding]]:
    """Return what rides along and is whole, and a note for each that is not; of a tar, in which nothing tells, all."""
    whole_ones, late = [], []
    with plan.payloads() as payloads:
        for position, file in _along(plan, container, files, alive):
            try:
                if container.format == "zip":
                    payloads.read(file)
                whole_ones.append(file)
            except Unavailable as error:
                late.append(_companion_lost(position, file, error))
    return whole_ones, late


def _companion_lost(position: int, file: SourceFile, error: Unavailable) -> Finding:
    return Finding(position, "companion_lost", "note", f"{file.record}: {error.detail}")


def _partial(files: Sequence[SourceFile], alive: NDArray[np.bool_]) -> list[Finding]:
    """Note of each medium of a tar that stays which others of its sample do not."""
    if files[0].container is None or files[0].container.format != "tar":
        return []
    gone: dict[bytes, list[str]] = {}
    for file in compress(files, ~alive):
        gone.setdefault(sample_key(as_bytes(file.record)), []).append(file.record)
    found = []
    for position in np.flatnonzero(alive).tolist():
        lost = gone.get(sample_key(as_bytes(files[position].record)))
        if lost:
            found.append(Finding(position, "partial_sample", "note", f"its sample has lost {', '.join(lost[:4])}"))
    return found


def shown_path(plan: Plan, target: Path) -> str:
    """Return a path below the output folder as text."""
    return target.relative_to(plan.out).as_posix().encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
