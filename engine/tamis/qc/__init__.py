"""Quality control of series: limits by name, stated or learnt, the tests, and what becomes of the readings that fail them."""

from __future__ import annotations

from tamis.qc.control import ACTIONS, BITS, CLOCK_TESTS, IMPUTE, KEEP, NULL, REJECT, Action, Control, Controlled, Grade, Policy
from tamis.qc.fill import Filling, Method, Season
from tamis.qc.learn import LEARNABLE
from tamis.qc.limits import KEYS, TEST_OF, Row, Thresholds, bit_names, checked_rows, read_rows
from tamis.qc.summary import COUNTS, GRADES, TOLD, Summary

__all__ = [
    "ACTIONS",
    "BITS",
    "CLOCK_TESTS",
    "COUNTS",
    "GRADES",
    "IMPUTE",
    "KEEP",
    "KEYS",
    "LEARNABLE",
    "NULL",
    "REJECT",
    "TEST_OF",
    "TOLD",
    "Action",
    "Control",
    "Controlled",
    "Filling",
    "Grade",
    "Method",
    "Policy",
    "Row",
    "Season",
    "Summary",
    "Thresholds",
    "bit_names",
    "checked_rows",
    "read_rows",
]
