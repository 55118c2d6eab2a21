"""Quality control of series: limits by name, stated or learnt, the tests, and what becomes of the readings that fail them."""

from __future__ import annotations

from tamis.qc.control import BITS, CLOCK_TESTS, IMPUTE, NULL, Action, Control, Controlled, Grade, Policy
from tamis.qc.fill import Filling, Method, Season
from tamis.qc.learn import LEARNABLE
from tamis.qc.limits import Thresholds, bit_names, checked_rows, read_rows
from tamis.qc.summary import GRADES, Summary

__all__ = [
    "BITS",
    "CLOCK_TESTS",
    "GRADES",
    "IMPUTE",
    "LEARNABLE",
    "NULL",
    "Action",
    "Control",
    "Controlled",
    "Filling",
    "Grade",
    "Method",
    "Policy",
    "Season",
    "Summary",
    "Thresholds",
    "bit_names",
    "checked_rows",
    "read_rows",
]
