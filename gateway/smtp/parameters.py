"""ESMTP parameters of MAIL and RCPT, checked word by word and otherwise left as the client wrote them.

SIZE: RFC 1870. BODY: RFC 6152. SMTPUTF8: RFC 6531. RET, ENVID, NOTIFY, ORCPT: RFC 3461, RFC 6533. AUTH: RFC 4954 5.
PRDR: draft-hall-prdr, as Exim speaks it. A parameter that was not announced is refused with 555 (RFC 5321 4.1.1.11).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, NamedTuple

from gateway.smtp import replies


class ParameterError(Exception):
    """The command cannot be taken; ``reply`` is the rendered reply that says why."""

    def __init__(self, reply: bytes) -> None:
        super().__init__(reply)
        self.reply = reply


@dataclass(slots=True)
class MailParameters:
    """``passed_on`` are the parameters the next hop gets too, as written; ``size_bytes`` 0 means not declared."""

    size_bytes: int = 0
    is_8bitmime: bool = False
    is_smtputf8: bool = False
    has_prdr: bool = False
    passed_on: bytes = b""


NO_MAIL_PARAMETERS: Final = MailParameters()
"""Shared by all transactions without parameters; nobody changes it."""


class Announced(NamedTuple):
    """Which parameters this session may use."""

    has_8bitmime: bool
    has_smtputf8: bool
    has_dsn: bool
    has_prdr: bool


# esmtp-keyword and esmtp-value of RFC 5321 4.1.2; the value may hold UTF-8 under SMTPUTF8 (RFC 6531 3.3).
_KEYWORD = re.compile(rb"[A-Za-z0-9][A-Za-z0-9-]*")
_VALUE = re.compile(rb"[!-<>-~\x80-\xff]+")
_DIGITS = re.compile(rb"[0-9]{1,20}")
# xtext of RFC 3461 4: printable ASCII without "+" and "=", which appear as "+XX" in upper-case hexadecimal.
_XTEXT = re.compile(rb"(?:[!-*,-<>-~]|\+[0-9A-F]{2})*")
# utf-8-addr-xtext and utf-8-addr-unitext of RFC 6533 3: "\x{HEX}" stands for what cannot be written.
_UTF8_ADDRESS = re.compile(rb"(?:[!-*,-<>-\[\]-~\x80-\xff]|\\x\{[0-9A-F]{2,6}\}|\+[0-9A-F]{2})*")
_ADDRESS_TYPE = re.compile(rb"[A-Za-z0-9-]{1,40}")
_NOTIFY_WORDS = frozenset({b"SUCCESS", b"FAILURE", b"DELAY"})

_MAX_ENVID = 100  # RFC 3461 4.4
_MAX_ORCPT = 500  # RFC 3461 4.2


def parse_mail_parameters(text: bytes, announced: Announced) -> MailParameters:
    """The parameters after the reverse-path, ``b""`` for none. Raises ``ParameterError``."""
    if not text:
        return NO_MAIL_PARAMETERS
    found = MailParameters()
    seen: set[bytes] = set()
    passed_on: list[bytes] = []
    for word in text.split(b" "):
        keyword, value = _split(word, seen)
        if keyword == b"SIZE":
            if not _DIGITS.fullmatch(value):
                raise ParameterError(replies.BAD_PARAMETER_VALUE)
            found.size_bytes = int(value)
            continue
        if keyword == b"BODY" and announced.has_8bitmime:
            body = value.upper()
            if body not in (b"7BIT", b"8BITMIME"):
                raise ParameterError(replies.BAD_PARAMETER_VALUE)  # BINARYMIME needs CHUNKING, which is not offered
            found.is_8bitmime = body == b"8BITMIME"
        elif keyword == b"SMTPUTF8" and announced.has_smtputf8:
            _refuse_value(word)
            found.is_smtputf8 = True
        elif keyword == b"RET" and announced.has_dsn:
            if value.upper() not in (b"FULL", b"HDRS"):
                raise ParameterError(replies.BAD_PARAMETER_VALUE)
        elif keyword == b"ENVID" and announced.has_dsn:
            if not value or len(value) > _MAX_ENVID or not _XTEXT.fullmatch(value):
                raise ParameterError(replies.BAD_PARAMETER_VALUE)
        elif keyword == b"PRDR" and announced.has_prdr:
            _refuse_value(word)
            found.has_prdr = True
            continue
        elif keyword == b"AUTH":
            # Who first submitted the message. We vouch for nobody, which RFC 4954 5 writes as AUTH=<> or leaves out.
            if not value or not _XTEXT.fullmatch(value):
                raise ParameterError(replies.BAD_PARAMETER_VALUE)
            continue
        else:
            raise ParameterError(replies.UNKNOWN_PARAMETER)
        passed_on.append(word)
    found.passed_on = b" ".join(passed_on)
    if not found.is_smtputf8 and not found.passed_on.isascii():
        raise ParameterError(replies.BAD_PARAMETER_VALUE)
    return found


def check_recipient_parameters(text: bytes, announced: Announced, *, is_smtputf8: bool) -> None:
    """The parameters after the forward-path. Raises ``ParameterError``; what passes is sent on as written."""
    if not text:
        return
    seen: set[bytes] = set()
    for word in text.split(b" "):
        keyword, value = _split(word, seen)
        if not announced.has_dsn:
            raise ParameterError(replies.UNKNOWN_PARAMETER)
        if keyword == b"NOTIFY":
            _check_notify(value.upper())
        elif keyword == b"ORCPT":
            _check_original_recipient(value, is_smtputf8=is_smtputf8)
        else:
            raise ParameterError(replies.UNKNOWN_PARAMETER)


def _split(word: bytes, seen: set[bytes]) -> tuple[bytes, bytes]:
    keyword, equals, value = word.partition(b"=")
    if not _KEYWORD.fullmatch(keyword) or (equals and not _VALUE.fullmatch(value)):
        raise ParameterError(replies.BAD_PARAMETERS)
    keyword = keyword.upper()
    if keyword in seen:
        raise ParameterError(replies.REPEATED_PARAMETER)
    seen.add(keyword)
    return keyword, value


def _refuse_value(word: bytes) -> None:
    if b"=" in word:
        raise ParameterError(replies.BAD_PARAMETER_VALUE)


def _check_notify(value: bytes) -> None:
    words = value.split(b",")
    if words != [b"NEVER"] and (len(set(words)) != len(words) or not _NOTIFY_WORDS.issuperset(words)):
        raise ParameterError(replies.BAD_PARAMETER_VALUE)


def _check_original_recipient(value: bytes, *, is_smtputf8: bool) -> None:
    kind, semicolon, address = value.partition(b";")
    if not semicolon or not address or len(value) > _MAX_ORCPT or not _ADDRESS_TYPE.fullmatch(kind):
        raise ParameterError(replies.BAD_PARAMETER_VALUE)
    if kind.lower() == b"utf-8":
        if not _UTF8_ADDRESS.fullmatch(address) or not (address.isascii() or (is_smtputf8 and _is_utf8(address))):
            raise ParameterError(replies.BAD_PARAMETER_VALUE)
    elif not _XTEXT.fullmatch(address):
        raise ParameterError(replies.BAD_PARAMETER_VALUE)


def _is_utf8(value: bytes) -> bool:
    try:
        value.decode()
    except UnicodeDecodeError:
        return False
    return True
