"""A brand's logo: read once at the start and checked, then served by us, so that the pages need no third party."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

MAX_LOGO_BYTES = 512 * 1024

# What a file of each type begins with; the type is told by the bytes, not by the name.
_PNG = b"\x89PNG\r\n\x1a\n"
_JPEG = b"\xff\xd8\xff"
_GIF = (b"GIF87a", b"GIF89a")
_WEBP_START, _WEBP_MARK = b"RIFF", b"WEBP"
_SVG_HEAD_BYTES = 1024

# An SVG shown by <img> runs no script and loads nothing, but it can be opened on its own as well. The policy below
# takes care of that; what only serves to attack is refused all the same.
_SVG_REFUSED = (b"<script", b"<!entity", b"<!doctype", b"<foreignobject", b"javascript:")


class Logo(NamedTuple):
    """Checked bytes and their media type."""

    content_type: str
    data: bytes


class LogoError(ValueError):
    """The file cannot be a logo; the text names it and says why."""


def load_logo(path: Path) -> Logo:
    """The logo in ``path``: PNG, JPEG, GIF, WebP or SVG, at most ``MAX_LOGO_BYTES``. Raises ``LogoError``."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_LOGO_BYTES + 1)
    except OSError as error:
        raise LogoError(f"logo {path}: {error.strerror or error}") from error
    if len(data) > MAX_LOGO_BYTES:
        raise LogoError(f"logo {path}: larger than {MAX_LOGO_BYTES // 1024} KiB")
    content_type = find_image_type(data)
    if content_type is None:
        raise LogoError(f"logo {path}: expected a PNG, JPEG, GIF, WebP or SVG picture")
    if content_type == "image/svg+xml":
        lowered = data.lower()
        for refused in _SVG_REFUSED:
            if refused in lowered:
                raise LogoError(f"logo {path}: an SVG picture with {refused.decode()} is not served")
    return Logo(content_type, data)


def find_image_type(data: bytes) -> str | None:
    """The media type that ``data`` begins like."""
    if data.startswith(_PNG):
        return "image/png"
    if data.startswith(_JPEG):
        return "image/jpeg"
    if data.startswith(_GIF):
        return "image/gif"
    if data.startswith(_WEBP_START) and data[8:12] == _WEBP_MARK:
        return "image/webp"
    head = data[:_SVG_HEAD_BYTES].removeprefix(b"\xef\xbb\xbf").lstrip()
    if head.startswith(b"<svg") or (head.startswith((b"<?xml", b"<!--")) and b"<svg" in head):
        return "image/svg+xml"
    return None
