"""JPEGs of the kinds that the walk does not know go to libjpeg, which is strict with them too."""

from __future__ import annotations

import base64
import io
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tamis.media import inspect

# A gradient of 48 x 48 pixels by arithmetic coding, made by `jpegtran -arithmetic` of libjpeg-turbo from a baseline file of Pillow's.
ARITHMETIC = base64.b85decode(
    b"|JeWF01!$>Nk#wx0RR9200961|JwjV01XKW3knDg3knMk4h;_zAQcl55)&sJ9v2`kDKRiEDJ?8BI!Zn>HbyrrEkIX6ModmpQ&KWMT47pHU`kO^PygEhLje"
    b"vB4iga*CKVMXPc<zyPft%zPft%zPft%zPft%zPft%zPft%zPft%zPft%zPft%zPft%zPft%zPft%zPf!2J01*fPFaR(E0U`hb5di}c0sqVZ3IGrg1pyEd1"
    b"^?Or3<CiG0ucid06zf#0I~Ei+*hl{AoR}LqL3}ihHAf&{Y&<+)K2FEdQK4*qomEwZ~;Cx`Kg;!cDa3M0%sqddB%NejvEq^sm@KT3O;Q=b*!-zyWtJ*X!<x"
    b"|c&04W!%Iv<bZJV9$kD__Uu$U4n6Nok?-vbIAph9"
)


def written(mode: str, **options: Any) -> bytes:
    """Return a picture with something in every block."""
    levels = np.random.default_rng(0).integers(0, 255, (20, 20, 3), dtype=np.uint8)
    stream = io.BytesIO()
    Image.fromarray(levels).resize((320, 320)).convert(mode).save(stream, "JPEG", quality=80, **options)
    return stream.getvalue()


KINDS = {
    "progressive": written("RGB", progressive=True),
    "progressive grey": written("L", progressive=True),
    "CMYK": written("CMYK"),
    "progressive CMYK": written("CMYK", progressive=True),
}


@pytest.mark.parametrize("data", [*KINDS.values(), ARITHMETIC], ids=[*KINDS, "arithmetic"])
def test_a_whole_file_is_ok_and_has_its_picture(data: bytes) -> None:
    report = inspect(data, name="a.jpg")
    assert (report.grade, report.reason) == ("ok", "")
    with Image.open(io.BytesIO(data)) as image:
        assert (report.width, report.height) == image.size
        wanted = np.asarray(image.convert("L"), np.float64)
    assert report.gray is not None
    assert abs(float(report.gray.mean()) - float(wanted.mean())) < 2


@pytest.mark.parametrize("data", [*KINDS.values(), ARITHMETIC], ids=[*KINDS, "arithmetic"])
@pytest.mark.parametrize("share", [0.3, 0.6, 0.99])
def test_a_file_that_is_cut_off_is_damaged(data: bytes, share: float) -> None:
    report = inspect(data[: int(share * len(data))], name="a.jpg")
    assert (report.grade, report.reason) == ("damaged", "truncated")
    assert "byte" in report.detail


@pytest.mark.parametrize("data", KINDS.values(), ids=KINDS)
def test_zeros_within_the_data_are_damage(data: bytes) -> None:
    middle = len(data) // 2
    report = inspect(data[:middle] + bytes(400) + data[middle + 400 :], name="a.jpg")
    assert (report.grade, report.reason) == ("damaged", "corrupt_data")


def test_zeros_within_arithmetic_codes_are_legal_codes() -> None:
    # Any bits decode to some picture: arithmetic coding has no code that is not in its table, and only the end can be missed.
    assert inspect(ARITHMETIC[:-80] + bytes(40) + ARITHMETIC[-40:], name="a.jpg").grade == "ok"
