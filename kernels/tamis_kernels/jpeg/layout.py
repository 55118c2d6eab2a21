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
) = range(len(FAULTS))

# Columns of the facts, int64[FACTS] a file. From SIDES on: height and width of each component's picture; from SAMPLING on: 16 h + v.
FAULT, PLACE, MCU, MCUS, BAD, WIDTH, HEIGHT, COMPONENTS, SCAN, END, JUNK, JUNK_AT, INTERVAL, ZERO_PADS = range(14)
SIDES = 14
SAMPLING = 22
FACTS = 26

LARGEST_DC, LARGEST_AC = 11, 10  # categories of 8-bit samples (T.81, tables F.1 and F.2)
ZERO_RUN, END_OF_BLOCK = 0xF0, 0x00
LEAST_BITS_PER_BLOCK = 2  # a code for DC and one for the end of the block

SOF0, SOF1, DHT, SOI, EOI, SOS, DQT, DNL, DRI = 0xC0, 0xC1, 0xC4, 0xD8, 0xD9, 0xDA, 0xDB, 0xDC, 0xDD
RST0, TEM, JPG, DAC = 0xD0, 0x01, 0xC8, 0xCC
"""Markers by the names of T.81, table B.1."""
