"""Sniffing, grading and decoding of media files."""

from tamis.media.decode import CELL, inspect, walk_jpegs
from tamis.media.inspection import GRADES, Grade, Inspection, Limits
from tamis.media.photos import see_jpegs
from tamis.media.sniff import MediaType, sniff

__all__ = ["CELL", "GRADES", "Grade", "Inspection", "Limits", "MediaType", "inspect", "see_jpegs", "sniff", "walk_jpegs"]
