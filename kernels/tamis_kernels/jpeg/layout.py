"""What reference and CPU agree on: the numbers of faults, and the columns of the table of facts that a walk fills."""

from __future__ import annotations

FAULTS = (
    "none",
    "not_jpeg",
    "truncated",
    "bad_segment",
    "bad_quantisation_table",
    "bad_huffman_table",
    "bad_frame",
    "bad_scan",
    "bad_code",
    "too_many_coefficients",
    "dc_range",
    "missing_data",
    "leftover_data",
    "restart_order",
    "pad_bits",
    "unexpected_marker",
    "missing_component",
    "too_few_bytes",
    "unsupported",
    "odd_quantisation_table",
    "seam",
)
(
    NONE,
    NOT_JPEG,
    TRUNCATED,
    BAD_SEGMENT,
    BAD_QUANTISATION_TABLE,
    BAD_HUFFMAN_TABLE,
    BAD_FRAME,
    BAD_SCAN,
    BAD_CODE,
    TOO_MANY_COEFFICIENTS,
    DC_RANGE,
    MISSING_DATA,
    LEFTOVER_DATA,
    RESTART_ORDER,
    PAD_BITS,
    UNEXPECTED_MARKER,
    MISSING_COMPONENT,
    TOO_FEW_BYTES,
    UNSUPPORTED,
    ODD_QUANTISATION_TABLE,
    SEAM,
) = range(len(FAULTS))

# Columns of the facts, int64[FACTS] a file. From SIDES on: height and width of each component's picture; from SAMPLING on: 16 h + v.
FAULT, PLACE, MCU, MCUS, BAD, WIDTH, HEIGHT, COMPONENTS, SCAN, END, JUNK, JUNK_AT, INTERVAL, ZERO_PADS, ODD = range(15)
SIDES = 15
SAMPLING = 23
FACTS = 27
"""ODD: where the entry of a quantisation table is that does not fit in with its neighbours; 0: all do."""

LARGEST_DC, LARGEST_AC = 11, 10  # categories of 8-bit samples (T.81, tables F.1 and F.2)
ZERO_RUN, END_OF_BLOCK = 0xF0, 0x00
LEAST_BITS_PER_BLOCK = 2  # a code for DC and one for the end of the block

SOF0, SOF1, DHT, SOI, EOI, SOS, DQT, DNL, DRI = 0xC0, 0xC1, 0xC4, 0xD8, 0xD9, 0xDA, 0xDB, 0xDC, 0xDD
RST0, TEM, JPG, DAC, JPG0, COM = 0xD0, 0x01, 0xC8, 0xCC, 0xF0, 0xFE
"""Markers by the names of T.81, table B.1."""

ZIGZAG = tuple(sorted(range(64), key=lambda at: (at // 8 + at % 8, at // 8 if (at // 8 + at % 8) % 2 else at % 8)))
"""Row and column, 8 · row + column, of each coefficient in the order of the file (T.81, figure 5)."""

ODD_FACTOR, ODD_SLACK = 2, 8
"""An entry of a quantisation table is odd that is more than `ODD_FACTOR` times its largest neighbour and `ODD_SLACK`, or so far below its
smallest. Of 155 tables of whole files no entry comes near: none is larger than its largest neighbour and 8."""

# The seam test; see `seam.py`.
EDGE_BITS = 6
EDGE = (0, 93, 98, 103, 102, 92, 70, 38)
"""What a coefficient of the first row or column adds to the level that a block has at its border, in 1/8 levels times 2 ** EDGE_BITS: of
number n, 64 · (1.3 · cos(n · pi / 16) - 0.3 · cos(3n · pi / 16)) · sqrt(2), rounded. That is the outermost row of pixels and 0.3 of what it
differs by from the one before it: an edge of the picture is rarely so sharp that all of it lies between two pixels. More than 0.3 lets
noise in."""
LAST_EDGE = ZIGZAG.index(56)
"""The last coefficient, in the file's order, that is looked at."""
SHIFTS = tuple(8 * level for level in (8, 11, 16, 22, 32, 45, 64, 90, 128))
"""Shifts that are tried, in 1/8 levels, both up and down."""
LEAST_SIDE = 4
"""MCUs that a picture must have across and down for the test."""
CAP, NOISE_FACTOR, LEAST_LIMIT = 64, 4, 12
SUSPICION = 12
"""Square of what the clipped jumps of the 1/8 picture must sum up to along a staircase, times 16, in terms of their noise."""
SUSPICION_SCORE = 2 * 256
"""Score in the 1/8 picture from which a row is decoded once more."""
SEAM_SCORE = 6 * 256
"""Score of a seam, in 1/256 blocks."""
LONG, LONG_SHARE = 20, 5
"""Of what the longer part of a seam scores beyond the shorter one, so many blocks at most count, by this share."""
