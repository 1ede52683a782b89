"""Every conversation in this folder goes as written, however the network cuts it."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.conversation import Conversation, Transcript, describe, differences, load_conversation, play

FILES = sorted(Path(__file__).parent.glob("*.txt"))


@pytest.fixture(params=FILES, ids=lambda path: path.stem)
def conversation(request: pytest.FixtureRequest) -> Conversation:
    return load_conversation(request.param)


def expect(conversation: Conversation, transcript: Transcript) -> None:
    assert differences(conversation.expected, transcript.said) == []
    assert [describe(message) for message in transcript.messages] == conversation.messages
    assert transcript.is_closed == conversation.is_closed
    assert transcript.held_bytes == 0, "memory was not given back"


def whole(data: bytes) -> Iterator[bytes]:
    yield data


def bytewise(data: bytes) -> Iterator[bytes]:
    for at in range(len(data)):
        yield data[at : at + 1]


def test_goes_as_written(conversation: Conversation) -> None:
    """Each turn arrives in one piece."""
    expect(conversation, play(conversation, whole))


def test_goes_the_same_byte_by_byte(conversation: Conversation) -> None:
    """Each byte arrives alone."""
    expect(conversation, play(conversation, bytewise))


@pytest.mark.parametrize("seed", range(8))
def test_goes_the_same_in_random_pieces(conversation: Conversation, seed: int) -> None:
    """The bytes arrive in pieces of any size."""
    dice = random.Random(f"{seed} {conversation.name}")

    def cut(data: bytes) -> Iterator[bytes]:
        at = 0
        while at < len(data):
            size = dice.choice((1, 2, 3, 7, 40, 300, 5000))
            yield data[at : at + size]
            at += size

    expect(conversation, play(conversation, cut))


@pytest.mark.parametrize(
    "path", [path for path in FILES if "@ tls" not in path.read_text("utf-8")], ids=lambda p: p.stem
)
def test_goes_the_same_when_all_is_pipelined_and_answers_come_late(path: Path) -> None:
    """The client sends everything before the first answer: order and outcome stay."""
    conversation = load_conversation(path)
    expect(conversation, play(conversation, whole, is_late=True))


def test_every_file_says_what_it_shows() -> None:
    """The first line of a conversation is its claim."""
    assert FILES
    for path in FILES:
        assert path.read_text("utf-8").startswith("# "), path.name
