"""Series: tables of readings in any order of rows, split by sensor and column and sorted by time, on disk and so of any size.

>>> with SeriesWriter(roles, folder) as writer:                    # doctest: +SKIP
...     for frame in frames:
...         writer.add(frame)
...     for series in writer.series():
...         for chunk in series.chunks():
...             chunk.time, chunk.value, chunk.valid, chunk.row
"""

from __future__ import annotations

from tamis.series.roles import NANOSECONDS, Roles, assign_roles, nanoseconds, sensor_names, tally
from tamis.series.series import CHUNK, Chunk, Held, Series, SeriesWriter, Share, Written, shares

__all__ = [
    "CHUNK",
    "NANOSECONDS",
    "Chunk",
    "Held",
    "Roles",
    "Series",
    "SeriesWriter",
    "Share",
    "Written",
    "assign_roles",
    "nanoseconds",
    "sensor_names",
    "shares",
    "tally",
]
