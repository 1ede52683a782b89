"""Conversations as files: what the client sends, what it hears, what is handed on, whether it is hung up on.

::

    # Comments, the first of which says what the conversation shows.
    @ tls starttls            a setting of the listener, or one of: client none, logins, upstream none, upstream size N,
                              footer N, budget N
    C: MAIL FROM:<a@b.example>   a line from the client, CRLF added
    R: text\\n.\\r\\n            raw bytes from the client, written as in Python
    S: 250 2.1.0 ...          a line to the client; "..." at its end stands for anything
    H: <a@b.example> SIZE -> <c@d.example> NOTIFY=NEVER, <e@f.example> = Hello\\r\\n
                              a message handed on: sender, its parameters, recipients with theirs, content
    X:                        the connection is closed

The only password in these files that is right is ``secret`` for ``shop``.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from filters.exchange import UpstreamCapabilities
from gateway.smtp.dialogue import Dialogue
from gateway.smtp.effects import CheckLogin, CheckRecipient, Close, Effect, HandleMessage, StartTls
from gateway.smtp.memory_budget import MemoryBudget
from gateway.smtp.settings import ListenerSettings, TlsMode
from tests.support.mail_world import EVERYTHING, SHOP, TakenMessage, answer_for, check, make_dialogue, taken


@dataclass
class Conversation:
    """One file. ``turns`` are what the client sends in one go."""

    name: str
    options: dict[str, str] = field(default_factory=dict)
    turns: list[bytes] = field(default_factory=list)
    expected: list[str] = field(default_factory=list)
    messages: list[str] = field(default_factory=list)
    is_closed: bool = False

    @property
    def has_tls(self) -> bool:
        return "tls" in self.options

    def settings(self) -> ListenerSettings:
        values: dict[str, Any] = {"name": "in", "hostname": "gate.example"}
        for key, value in self.options.items():
            if key == "tls":
                values[key] = TlsMode(value)
            elif key in ("is_lmtp", "allows_clear_login"):
                values[key] = True
            elif key.startswith("max_"):
                values[key] = int(value)
        return ListenerSettings(**values)

    def dialogue(self, budget: MemoryBudget) -> Dialogue:
        upstream = self.options.get("upstream", "")
        capabilities: UpstreamCapabilities | None = EVERYTHING
        if upstream == "none":
            capabilities = None
        elif upstream.startswith("size "):
            capabilities = EVERYTHING._replace(size_bytes=int(upstream[5:]))
        return make_dialogue(
            self.settings(),
            client=None if self.options.get("client") == "none" else SHOP,
            capabilities=capabilities,
            has_logins="logins" in self.options,
            footer_allowance=int(self.options.get("footer", "0")),
            budget=budget,
        )


def load_conversation(path: Path) -> Conversation:
    conversation = Conversation(path.stem)
    is_client_speaking = False
    for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
        if not line or line.startswith("#"):
            continue
        kind, text = line[:2], line[3:]
        sent = None
        if kind == "@ " or kind == "@":
            key, _, value = line[2:].partition(" ")
            conversation.options[key] = value
        elif kind == "C:":
            sent = text.encode() + b"\r\n"
        elif kind == "R:":
            sent = _unescape(text)
        elif kind == "S:":
            conversation.expected.append(text)
        elif kind == "H:":
            conversation.messages.append(text)
        elif kind == "X:":
            conversation.is_closed = True
        else:
            raise ValueError(f"{path.name}:{number}: not a line of a conversation")
        if sent is not None:
            if is_client_speaking:
                conversation.turns[-1] += sent
            else:
                conversation.turns.append(sent)
        is_client_speaking = sent is not None
    return conversation


def _unescape(text: str) -> bytes:
    value = ast.literal_eval(f"b'{text}'")
    assert isinstance(value, bytes)
    return value


@dataclass
class Transcript:
    """What became of a conversation."""

    said: bytes = b""
    messages: list[TakenMessage] = field(default_factory=list)
    is_closed: bool = False
    held_bytes: int = 0


def play(conversation: Conversation, cut: Callable[[bytes], Iterator[bytes]], *, is_late: bool = False) -> Transcript:
    """Play it against a dialogue, each turn cut by ``cut``; ``is_late`` gives results only when bytes have run out."""
    budget = MemoryBudget(int(conversation.options.get("budget", str(1 << 26))))
    dialogue = conversation.dialogue(budget)
    transcript = Transcript()
    waiting: list[Effect] = []
    dialogue.greet()
    turns = [b"".join(conversation.turns)] if is_late else conversation.turns
    for turn in turns:
        for piece in cut(turn):
            effect = dialogue.receive(piece)
            if is_late:
                waiting += [effect] if effect is not None else []
            else:
                _carry_out(dialogue, effect, budget, transcript)
            transcript.said += dialogue.take_replies()
    for effect in waiting:
        _carry_out(dialogue, effect, budget, transcript)
        transcript.said += dialogue.take_replies()
    dialogue.abandon()
    transcript.held_bytes = budget.used_bytes
    return transcript


def _carry_out(dialogue: Dialogue, effect: Effect | None, budget: MemoryBudget, transcript: Transcript) -> None:
    while effect is not None:
        match effect:
            case CheckRecipient(_, recipient):
                effect = dialogue.recipient_checked(check(recipient))
            case HandleMessage(envelope, content, charge):
                budget.release(charge)
                transcript.messages.append(taken(envelope, content))
                effect = dialogue.message_answered(
                    None if envelope.sender.startswith(b"crash") else answer_for(envelope)
                )
            case CheckLogin(username, password):
                effect = dialogue.login_checked(SHOP if (username, password) == (b"shop", b"secret") else None)
            case StartTls():
                effect = dialogue.tls_started()
            case Close():
                transcript.is_closed = True
                return


def describe(message: TakenMessage) -> str:
    """``message`` as an ``H:`` line."""
    recipients = ", ".join(
        f"<{wire.decode()}>{' ' + parameters.decode() if parameters else ''}" for wire, parameters in message.recipients
    )
    parameters = f" {message.mail_parameters.decode()}" if message.mail_parameters else ""
    return f"<{message.sender.decode()}>{parameters} -> {recipients} = {repr(message.content)[2:-1]}"


def differences(expected: list[str], said: bytes) -> list[str]:
    """Where what was said is not what was expected."""
    lines = said.decode().split("\r\n")
    assert lines.pop() == "", "the last reply has no line end"
    found = [
        f"line {number}: expected {want!r}, heard {line!r}"
        for number, (want, line) in enumerate(zip(expected, lines, strict=False), 1)
        if not (line.startswith(want[:-3]) if want.endswith("...") else line == want)
    ]
    if len(lines) != len(expected):
        found.append(f"expected {len(expected)} lines, heard {len(lines)}: {lines[len(expected) - 1 :]}")
    return found
