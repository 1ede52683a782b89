"""A logo is checked before it is served."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.opt_out.logo import MAX_LOGO_BYTES, LogoError, load_logo

SVG = b'<svg xmlns="http://www.w3.org/2000/svg"><rect width="1" height="1"/></svg>'


@pytest.mark.parametrize(
    ("data", "content_type"),
    [
        (b"\x89PNG\r\n\x1a\n....", "image/png"),
        (b"\xff\xd8\xff\xe0....", "image/jpeg"),
        (b"GIF89a....", "image/gif"),
        (b"RIFF\0\0\0\0WEBPVP8 ", "image/webp"),
        (SVG, "image/svg+xml"),
        (b"\xef\xbb\xbf\n<?xml version='1.0'?>\n" + SVG, "image/svg+xml"),
        (b"<!-- drawn -->" + SVG, "image/svg+xml"),
    ],
)
def test_the_type_is_told_by_the_bytes(tmp_path: Path, data: bytes, content_type: str) -> None:
    """Not by the name, which may say anything."""
    path = tmp_path / "logo.txt"
    path.write_bytes(data)
    assert load_logo(path) == (content_type, data)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "expected a PNG"),
        (b"<html><svg></svg></html>", "expected a PNG"),
        (b"RIFF\0\0\0\0WAVE", "expected a PNG"),
        (b"\x89PNG\r\n\x1a\n" + bytes(MAX_LOGO_BYTES), "larger than 512 KiB"),
        (SVG.replace(b"<rect", b"<SCRIPT>alert(1)</SCRIPT><rect"), "<script is not served"),
        (b'<?xml version="1.0"?><!DOCTYPE svg [<!ENTITY a "b">]>' + SVG, "is not served"),
        (SVG.replace(b"<rect", b'<a href="JavaScript:x"/><rect'), "javascript: is not served"),
    ],
)
def test_what_is_no_logo_is_refused_by_name(tmp_path: Path, data: bytes, says: str) -> None:
    path = tmp_path / "logo.png"
    path.write_bytes(data)
    with pytest.raises(LogoError, match=says) as refused:
        load_logo(path)
    assert str(path) in str(refused.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(LogoError, match=r"nowhere\.png: No such file"):
        load_logo(tmp_path / "nowhere.png")
