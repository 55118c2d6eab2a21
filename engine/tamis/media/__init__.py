"""Sniffing, grading and decoding of media files."""

from tamis.media.decode import inspect
from tamis.media.inspection import GRADES, Grade, Inspection, Limits
from tamis.media.sniff import MediaType, sniff

__all__ = ["GRADES", "Grade", "Inspection", "Limits", "MediaType", "inspect", "sniff"]
