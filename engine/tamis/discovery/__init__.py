"""Discovery: sensor faults that nobody declared, each with its evidence. Nothing is changed on suspicion.

| kind | what is suspected |
|---|---|
| `sentinel` | a value that stands for none: told often, exactly, and far from all readings |
| `unit` | spans in another unit than the rest, or a whole series in another one than its peers' |
| `swapped` | latitude and longitude exchanged |
| `saturation` | readings that pile up at a rail |
| `resolution` | spans on a coarser or finer grid |
| `interpolated` | readings on straight lines between others, to the last digit: filled gaps |
| `counter_reset` | a counter that began anew or overflowed |
| `repeated_block` | a block of readings that stands at two times |
| `duplicate_time`, `conflicting_time` | times in several rows, with equal and with other readings |
| `clock_reset`, `epoch_unit` | a clock that began anew or was set back; times read in the wrong unit |
| `wall_clock` | hours told twice or never by the rules of summer time |
| `jitter`, `clock_drift` | steps that tremble; a clock that is off by some ppm |
| `drift`, `shift` | a sensor that leaves its peers by a ramp or a step |
"""

from __future__ import annotations

from tamis.discovery.base import Signal, Suspicion
from tamis.discovery.confirm import confirm_text, corrected, corrections, read_confirmed, write_confirm
from tamis.discovery.search import search, sensors

__all__ = [
    "Signal",
    "Suspicion",
    "confirm_text",
    "corrected",
    "corrections",
    "read_confirmed",
    "search",
    "sensors",
    "write_confirm",
]
