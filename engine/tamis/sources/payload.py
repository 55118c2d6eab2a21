"""The payload of a record, wherever it lies: a file, a member of an archive, a row of a table."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Self

import pyarrow as pa

from tamis.names import counted
from tamis.sources.mediatables import MediaTable
from tamis.sources.zips import DamagedZipError, ZipReader

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import BinaryIO

    from tamis.sources.listing import Container, SourceFile


class Unavailable(Exception):
    """Records that were listed cannot be read: a reason code and a sentence for the ledger."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


def verify_unchanged(file: SourceFile) -> None:
    """Make sure that a file, or the container of a member, is still the one that was listed.

    Raises
    ------
    Unavailable
        It is gone, or its size or modification time differ.
    """
    listed = file.container or file
    try:
        status = os.stat(listed.path)  # noqa: PTH116 - the path may hold bytes that are not UTF-8
    except OSError as error:
        raise Unavailable("vanished", f"listed at the start of the run, then: {error.strerror}") from error
    if (status.st_size, status.st_mtime_ns) != (listed.size, listed.mtime_ns):
        raise Unavailable("changed", "its size or modification time differ from the listing: the file changed during the run")


def _open_tar(container: Container) -> BinaryIO:
    return open(container.readable, "rb")  # noqa: PTH123


_READERS: dict[str, Callable[[Container], Any]] = {"tar": _open_tar, "zip": ZipReader, "parquet": MediaTable, "arrow": MediaTable}


class PayloadReader:
    """Reads payloads up to a limit of bytes, and holds the container open that it read last."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._container: Container | None = None
        self._handle: Any = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._hold(None)

    def read(self, file: SourceFile) -> bytes:
        """Return a record's payload, whole, and make sure that it is the one that was listed.

        Raises
        ------
        Unavailable
            It cannot be had, or has more bytes than the limit.
        """
        self._check(file.size)
        if not self._has_read(file):
            verify_unchanged(file)
        try:
            data = self._payload(file)
        except DamagedZipError as error:
            raise Unavailable(error.reason, str(error)) from error
        except (OSError, pa.ArrowException) as error:
            raise Unavailable("unreadable", getattr(error, "strerror", None) or str(error)) from error
        is_row = file.container is not None and file.container.column
        if len(data) != file.size and not is_row:
            raise Unavailable(
                "changed", f"{counted(len(data), 'bytes')} could be read where {file.size} were listed: the file changed during the run"
            )
        return data

    def _has_read(self, file: SourceFile) -> bool:
        """Say whether a row is in memory already, so that nothing is read which might have changed."""
        return isinstance(self._handle, MediaTable) and file.container is self._container and self._handle.holds(file.offset)

    def _payload(self, file: SourceFile) -> bytes:
        if file.container is None:
            with open(file.path, "rb") as handle:  # noqa: PTH123 - the path may hold bytes that are not UTF-8
                return handle.read()
        self._hold(file.container)
        data: bytes
        if file.container.format == "tar":
            self._handle.seek(file.offset)
            data = self._handle.read(file.size)
        elif file.container.format == "zip":
            data = self._handle.payload(file.offset)
        else:
            buffer = self._handle.payload(file.offset)
            if buffer is None:
                raise Unavailable("missing_payload", f"the row has null in the column {file.container.column!r}")
            self._check(buffer.size)
            data = buffer.to_pybytes()
        return data

    def _check(self, size: int) -> None:
        if size > self._limit:
            raise Unavailable("too_large", f"{size} bytes, more than limits.file_megabytes allows ({self._limit})")

    def _hold(self, container: Container | None) -> None:
        if container is self._container or container == self._container:
            return
        if self._handle is not None:
            self._handle.close()
        self._container = self._handle = None
        if container is not None:
            self._handle = _READERS[container.format](container)
            self._container = container
