"""The stream cut into PDUs, whatever the network does to it and whatever a peer writes."""

from __future__ import annotations

import struct

from hypothesis import given
from hypothesis import strategies as st

from filters.smpp.frames import Frame, FrameReader, render_frame

FRAMES = st.lists(
    st.builds(
        Frame, st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1), st.binary(max_size=80)
    ),
    max_size=6,
)


@given(FRAMES, st.data())
def test_any_cut_gives_the_same_pdus(frames: list[Frame], data: st.DataObject) -> None:
    """Whole, byte by byte or in any pieces."""
    stream = b"".join(render_frame(frame.command, frame.sequence, frame.body, frame.status) for frame in frames)
    reader, found, at = FrameReader(4096), [], 0
    while at < len(stream):
        size = data.draw(st.integers(1, len(stream) - at))
        found += reader.feed(stream[at : at + size])
        at += size
    assert found == frames
    assert not reader.is_broken
    assert reader.kept_bytes == 0


@given(st.integers(0, 2**32 - 1), st.binary(max_size=64))
def test_a_length_out_of_bounds_breaks_the_stream_at_once(length: int, rest: bytes) -> None:
    """Four octets are enough to know; nothing is waited for and nothing set aside."""
    reader = FrameReader(1000)
    found = reader.feed(struct.pack(">I", length) + rest)
    if 16 <= length <= 1000:
        assert not reader.is_broken or len(rest) > 12
        assert reader.kept_bytes <= 4 + len(rest)
    else:
        assert reader.is_broken
        assert found == []
        assert reader.feed(render_frame(0x15, 1)) == []


@given(st.lists(st.binary(max_size=40), max_size=20))
def test_noise_never_keeps_more_than_a_pdu(pieces: list[bytes]) -> None:
    reader = FrameReader(100)
    for piece in pieces:
        reader.feed(piece)
        assert reader.kept_bytes <= 100 + len(piece) or reader.is_broken
