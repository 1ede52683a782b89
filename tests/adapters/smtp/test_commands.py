"""What is written: content that arrives as it was, and no parameter the server did not announce."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from adapters.smtp.commands import UnsafeEnvelopeError, iterate_stuffed, render_envelope, stuff_dots
from adapters.smtp.extensions import Extensions, find_obstacle, parse_extensions
from adapters.smtp.outcomes import NO_8BITMIME
from adapters.smtp.wire_reply import WireReply
from filters.address import EmailAddress
from filters.envelope import EnvelopeRecipient
from filters.exchange import OutgoingMail

contents = st.lists(st.sampled_from([b"\r\n", b".", b"a", b"..", b"\r\n.\r\n", b"xyz"]), max_size=40).map(b"".join)
ALL = Extensions(True, True, True, True, True, 10**6)


def unstuff(wire: bytes) -> bytes:
    """What a server reads: lines up to the lone dot, one leading dot removed."""
    lines = []
    rest = wire
    while True:
        line, found, rest = rest.partition(b"\r\n")
        assert found
        if line == b".":
            assert not rest
            return b"".join(each + b"\r\n" for each in lines)
        lines.append(line.removeprefix(b"."))


@given(contents)
@example(b"")
@example(b".")
@example(b"\r\n")
def test_content_arrives_as_it_was(content: bytes) -> None:
    """Un-stuffed by the server the content is the same, with a last CRLF if it had none."""
    expected = content if content.endswith(b"\r\n") or not content else content + b"\r\n"
    assert unstuff(b"".join(stuff_dots(content))) == expected
    if not content.startswith(b".") and b"\r\n." not in content:
        assert stuff_dots(content, may_have_dot_lines=False) == stuff_dots(content)


@given(contents, st.integers(2, 50))
def test_pieces_join_to_the_whole(content: bytes, piece_bytes: int) -> None:
    """Cut anywhere, the pieces are byte for byte what one write would have been."""
    assert b"".join(iterate_stuffed(content, piece_bytes)) == b"".join(stuff_dots(content))


@given(
    st.builds(Extensions, st.booleans(), st.booleans(), st.booleans(), st.booleans(), st.booleans(), st.just(None)),
    st.booleans(),
    st.booleans(),
    st.sampled_from([b"", b"BODY=8BITMIME", b"body=7bit ret=full envid=x", b"SMTPUTF8 BODY=8BITMIME FOO=bar"]),
)
def test_only_announced_parameters(extensions: Extensions, is_smtputf8: bool, is_8bit: bool, parameters: bytes) -> None:
    """No extension, no parameter of it; nothing unknown is ever passed on."""
    mail = new_mail(mail_parameters=parameters, is_smtputf8=is_smtputf8, is_8bit=is_8bit)
    if find_obstacle(mail, extensions) is not None:
        assert (is_smtputf8 and not extensions.has_smtputf8) or (is_8bit and not extensions.has_8bitmime)
        return
    mail_command, rcpt_command, data = render_envelope(mail, extensions)
    keywords = {word.partition(b"=")[0].upper() for word in mail_command.split()[2:]}
    allowed = {
        b"BODY": extensions.has_8bitmime,
        b"SMTPUTF8": extensions.has_smtputf8,
        b"RET": extensions.has_dsn,
        b"ENVID": extensions.has_dsn,
        b"SIZE": extensions.has_size,
    }
    assert all(allowed.get(keyword, False) for keyword in keywords)
    assert (b"NOTIFY" in rcpt_command) == extensions.has_dsn
    assert (b"SMTPUTF8" in keywords) == is_smtputf8
    assert not is_8bit or b" BODY=8BITMIME" in mail_command
    assert data == b"DATA\r\n"


def new_mail(**fields: Any) -> OutgoingMail:
    to = [EnvelopeRecipient(EmailAddress(b"a@musteri.example", b"a@musteri.example", False), b"NOTIFY=NEVER")]
    values: dict[str, Any] = {"sender": b"", "mail_parameters": b"", "content": b"x\r\n", **fields}
    return OutgoingMail(recipients=to, **values)


@pytest.mark.parametrize("end", [b"\r\n", b"\r", b"\n"])
def test_a_line_end_never_reaches_the_wire(end: bytes) -> None:
    """In sender, recipient or parameter a line end is refused before anything is written."""
    mail = new_mail(sender=b"a@b.example" + end + b"DATA")
    with pytest.raises(UnsafeEnvelopeError):
        render_envelope(mail, ALL)
    mail = new_mail()
    mail.recipients = [mail.recipients[0]._replace(parameters=b"NOTIFY=NEVER" + end)]
    with pytest.raises(UnsafeEnvelopeError):
        render_envelope(mail, ALL)


def test_binarymime_is_never_possible() -> None:
    """Without BDAT there is no BINARYMIME, whatever the server has."""
    assert find_obstacle(new_mail(mail_parameters=b"body=binarymime"), ALL) is NO_8BITMIME


@pytest.mark.parametrize(
    ("line", "size"),
    [(b"SIZE 1000", 1000), (b"SIZE", None), (b"SIZE 0", None), (b"size=5", None), (b"SIZE x", None)],
)
def test_size_as_announced(line: bytes, size: int | None) -> None:
    """RFC 1870: 0 and nothing mean no limit; what is no number means none either."""
    assert parse_extensions(WireReply(250, b"host\n" + line)).size_bytes == size


def test_extensions_in_any_spelling() -> None:
    """Keywords in any case, AUTH with a space or the old equals sign, unknown words ignored."""
    found = parse_extensions(WireReply(250, b"host\npipelining\n8bitmime\nAUTH=LOGIN\nAuth plain cram-md5\nXFOO\n\n"))
    assert found.has_pipelining
    assert found.has_8bitmime
    assert not found.has_dsn
    assert found.auth_mechanisms == {"LOGIN", "PLAIN", "CRAM-MD5"}
