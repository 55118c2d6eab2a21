"""The sound of MP3 frames: codes of every table passed to the last bit, and what does not end where it must is told."""

from __future__ import annotations

import numpy as np
import pytest
from made_media import judge, verdict
from test_mp3 import loud_mp3

from tamis.media.layer3_codes import CODES, LINBITS, MOST_BITS, QUADRUPLES, TABLES
from tamis.media.layer3_sound import _factors_of_two as factor_bits

ROOM = 396  # bytes for sound in a frame of 417
REGIONS = (16, 52)  # where the second and third region begin, with 4 and 6 bands before


def codes_of(table: int) -> dict[tuple[int, int], str]:
    found, begin = {}, 0
    text = CODES[int(TABLES[table])]
    for at in range(0, len(text), 3):
        length = int(text[at + 2], 36)
        found[int(text[at], 16), int(text[at + 1], 16)] = f"{begin >> (MOST_BITS - length):0{length}b}"
        begin += 1 << (MOST_BITS - length)
    assert begin == 1 << MOST_BITS  # the codes leave nothing over
    return found


def granule(rng: np.random.Generator, tables: tuple[int, int, int], last: int, quadruples: int = 4) -> tuple[str, str]:
    """Return side information but for the length, and the bits of sound: 30 pairs, and quadruples behind them."""
    sound = "0" * (11 * 3 + 10 * 1)  # scale factors of 3 and 1 bits: number 11
    for line in range(0, 60, 2):
        table = tables[0 if line < REGIONS[0] else 1 if line < REGIONS[1] else 2]
        if table:
            codes = codes_of(table)
            pair = list(codes)[int(rng.integers(len(codes)))]
            sound += codes[pair]
            for value in pair:
                sound += "1" * int(LINBITS[table]) if value == 15 else ""
                sound += str(int(rng.integers(2))) if value else ""
    codes = codes_of(QUADRUPLES + last)
    for _ in range(quadruples):
        four = list(codes)[int(rng.integers(1, len(codes)))]
        sound += codes[four] + "1" * four[1].bit_count()
    chosen = "".join(f"{table:05b}" for table in tables)
    return f"{30:09b}{0:08b}{11:04b}0{chosen}{3:04b}{5:03b}00{last}", sound


def frame(granules: list[tuple[str, str]], more: int = 0) -> bytes:
    """Return a frame of one channel whose second granule is declared so many bits longer than it is."""
    (one, first), (other, second) = granules
    side = f"{0:018b}{len(first):012b}{one}{len(second) + more:012b}{other}"
    sound = (first + second + "0" * 8).ljust(8 * ROOM, "0")
    return b"\xff\xfb\x90\xc4" + int(side, 2).to_bytes(17) + int(sound, 2).to_bytes(ROOM)


@pytest.mark.parametrize("number", range(12))
def test_sound_by_every_table_ends_where_it_must(number: int) -> None:
    rng = np.random.default_rng(number)
    usable = [table for table in range(32) if table not in (4, 14)]
    tables = tuple(usable[(3 * number + place) % len(usable)] for place in range(3))
    granules = [granule(rng, (tables[0], tables[1], tables[2]), number % 2) for _ in range(2)]
    whole = frame(granules)
    assert judge(whole * 6).reason == "not_decoded"
    longer = judge(whole * 5 + frame(granules, 3) + whole)
    assert (longer.grade, longer.reason) == ("damaged", "corrupt_data")
    assert f"frame 5 at byte {5 * 417}" in longer.detail
    assert "where it must" in longer.detail
    assert judge(frame(granules, 3) * 6).reason == "not_decoded"  # an encoder that fills up what it has left
    if any(tables):
        short = judge(whole * 5 + frame(granules, 40 - len(granules[1][1])) + whole)
        assert "more bits than the frame gives it" in short.detail


@pytest.mark.parametrize(
    ("factors", "short", "intensity", "bits"),
    [
        (0, False, False, 0),
        (399, False, False, 6 * 4 + 5 * 4 + 5 * 3 + 5 * 3),
        (399, True, False, 9 * (4 + 4 + 3 + 3)),
        (499, False, False, 6 * 4 + 5 * 4 + 7 * 3),
        (511, False, False, 11 * 3 + 10 * 2),
        (511, True, False, 18 * 3 + 18 * 2),
        (359, False, True, 7 * (4 + 5 + 5)),
        (487, True, True, 12 * 3 + 9 * 3 + 9 * 3),
        (511, False, True, 8 * 3 + 8 * 2),
    ],
)
def test_scale_factors_of_mpeg_2_take_the_bits_of_the_standard(factors: int, short: bool, intensity: bool, bits: int) -> None:
    assert factor_bits(factors, short, intensity) == bits


@pytest.mark.parametrize("rate", [44_100, 24_000, 8_000])
def test_some_single_bits_flipped_in_the_sound_are_told(rate: int) -> None:
    data = loud_mp3(rate, "stereo", {"joint_stereo": "1"})
    assert verdict(data) == ("ok", "not_decoded")
    rng, told = np.random.default_rng(rate), 0
    for place in rng.integers(8 * len(data) // 3, 8 * len(data), 80).tolist():
        broken = bytearray(data)
        broken[place // 8] ^= 1 << place % 8
        told += verdict(bytes(broken))[0] == "damaged"
    assert told >= 3
