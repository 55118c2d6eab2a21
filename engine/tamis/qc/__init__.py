"""Quality control of series: limits by name, stated or learnt, the tests, and what becomes of the readings that fail them."""

from __future__ import annotations

from tamis.qc.control import ACTIONS, BITS, CLOCK_TESTS, IMPUTE, KEEP, NULL, REJECT, Action, Control, Controlled, Grade, Policy
from tamis.qc.fill import Filling, Method, Season
from tamis.qc.learn import LEARNABLE
from tamis.qc.limits import KEYS, TEST_OF, Row, Thresholds, bit_names, checked_rows, read_rows

__all__ = [
    "ACTIONS",
    "BITS",
    "CLOCK_TESTS",
    "IMPUTE",
    "KEEP",
    "KEYS",
    "LEARNABLE",
    "NULL",
    "REJECT",
    "TEST_OF",
    "Action",
    "Control",
    "Controlled",
    "Filling",
    "Grade",
    "Method",
    "Policy",
    "Row",
    "Season",
    "Thresholds",
    "bit_names",
    "checked_rows",
    "read_rows",
]
