"""The bytes of one transaction: the envelope's commands, and the content as it travels after 354."""

from __future__ import annotations

from collections.abc import Iterator

from adapters.smtp.extensions import Extensions
from filters.exchange import OutgoingMail

PIECE_BYTES = 256 * 1024

DATA = b"DATA\r\n"


class UnsafeEnvelopeError(Exception):
    """A line end inside an address or parameter: it would be read as another command."""


def render_envelope(mail: OutgoingMail, extensions: Extensions) -> list[bytes]:
    """MAIL, each RCPT, and DATA, with only the parameters the server announced; raises ``UnsafeEnvelopeError``."""
    has_dsn = extensions.has_dsn
    parameters = b""
    if extensions.has_size:
        parameters = b" SIZE=%d" % len(mail.content)
    if mail.mail_parameters or mail.is_smtputf8 or mail.is_8bit:
        parameters += _render_mail_parameters(mail, extensions)
    commands = [b"MAIL FROM:<" + mail.sender + b">" + parameters + b"\r\n"]
    for recipient in mail.recipients:
        if has_dsn and recipient.parameters:
            commands.append(b"RCPT TO:<" + recipient.address.wire + b"> " + recipient.parameters + b"\r\n")
        else:
            commands.append(b"RCPT TO:<" + recipient.address.wire + b">\r\n")
    commands.append(DATA)
    for command in commands:
        if command.find(b"\r") != len(command) - 2 or command.find(b"\n") != len(command) - 1:
            raise UnsafeEnvelopeError
    return commands


def _render_mail_parameters(mail: OutgoingMail, extensions: Extensions) -> bytes:
    """BODY and SMTPUTF8 as needed, RET and ENVID where DSN is known (RFC 3461 5.2.2 forbids them elsewhere)."""
    body = b"8BITMIME" if mail.is_8bit else b""
    kept: list[bytes] = []
    for parameter in mail.mail_parameters.split():
        keyword, _, value = parameter.partition(b"=")
        keyword = keyword.upper()
        if keyword == b"BODY":
            body = body or value
        elif keyword in (b"RET", b"ENVID") and extensions.has_dsn:
            kept.append(parameter)
    if body and extensions.has_8bitmime:
        kept.append(b"BODY=" + body)
    if mail.is_smtputf8:
        kept.append(b"SMTPUTF8")
    return b"".join([b" " + parameter for parameter in kept])


def stuff_dots(content: bytes, may_have_dot_lines: bool = True) -> tuple[bytes, bytes, bytes]:
    """Content on the wire in three pieces to be written together: a leading dot or none, the text, the end of data.

    A dot at the start of a line is doubled (RFC 5321 4.5.2); a missing last CRLF is added, as the dot needs one.
    ``may_have_dot_lines`` False: there is no such line, and none is looked for.
    """
    return (
        b"." if content.startswith(b".") else b"",
        # Nearly no mail has such a line; looking for one from the end takes a quarter of the time of `replace`.
        content if not may_have_dot_lines or content.rfind(b"\r\n.") < 0 else content.replace(b"\r\n.", b"\r\n.."),
        b".\r\n" if content.endswith(b"\r\n") or not content else b"\r\n.\r\n",
    )


def iterate_stuffed(content: bytes, piece_bytes: int = PIECE_BYTES) -> Iterator[bytes]:
    """The same in pieces of about ``piece_bytes`` (at least 2), so that a large message neither holds the loop for
    long nor is copied whole. The last piece is the end of data.
    """
    start = 0
    size = len(content)
    while start < size:
        end = min(start + piece_bytes, size)
        if end < size and content[end - 1] == 0x0D:
            end -= 1  # never cut between CR and LF: the pattern CRLF-dot would be found by neither side
        piece = content[start:end].replace(b"\r\n.", b"\r\n..")
        if piece.startswith(b".") and (start == 0 or content[start - 2 : start] == b"\r\n"):
            piece = b"." + piece
        yield piece
        start = end
    yield b".\r\n" if content.endswith(b"\r\n") or not content else b"\r\n.\r\n"
