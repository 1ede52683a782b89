"""Masks in text what must never reach a log: addresses, phone numbers, tokens, passwords.

It errs on the side of masking too much: a masked identifier costs a look elsewhere, an address in a log is a breach
(KVKK). Every expression is linear in the length of the text, whatever the text.

Left as they are: dates and times, and IP addresses (which name machines here); a landline number written exactly like
an IPv4 address is taken for one.
"""

from __future__ import annotations

import re

ADDRESS = "[address]"
PHONE = "[phone]"
SECRET = "[secret]"  # noqa: S105 - the mask, not a secret

# Any of the signs that look like "@", also as a URL writes it.
_AT_SIGNS = ("@", "%40", "\uff20", "\ufe6b")

# Whatever cannot stand in an unquoted local part or a domain ends a word (RFC 5322 3.2.3, "specials", without "@.").
_WORD = re.compile(r"([^\s()<>\[\]:;,\\\"]+)(\[[^\[\]\s@]{0,64}\])?")
_QUOTED_LOCAL_PART = re.compile(r'"[^"\n]{0,320}"(?=@)')

_DIGIT_GAP = r"[\s().\-/\u00a0\u2010-\u2015]{0,2}"
_OCTET = r"(?:25[0-5]|2[0-4]\d|1?\d?\d)"
_IP_ADDRESS = rf"(?<![\d.])(?:{_OCTET}\.){{3}}{_OCTET}(?![\d.])"
_DATE = r"(?<!\d)(?:19|20)\d\d-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])"
_TIME = r"(?:[T ]\d\d:\d\d(?::\d\d(?:[.,]\d{1,9})?)?)?(?!\d)"
_NUMBER = re.compile(
    rf"(?P<keep>{_IP_ADDRESS}|{_DATE}{_TIME})"
    rf"|\+\(?\d(?:{_DIGIT_GAP}\d){{6,}}"
    rf"|\d(?:{_DIGIT_GAP}\d){{9,}}"
)

_AUTH = re.compile(
    r"(?i)\b(AUTH\s{1,4}(?:PLAIN|LOGIN|CRAM-MD5|DIGEST-MD5|NTLM|EXTERNAL|XOAUTH2|OAUTHBEARER|SCRAM-[A-Z0-9-]{1,20}))\b"
    r"[^\r\n]*"
)
_HEADER = re.compile(r"(?i)\b((?:proxy-)?authorization|(?:set-)?cookie)\b[\"']?\s{0,4}[:=,][^\r\n]*")
_SETTING = re.compile(
    r"(?i)(passw(?:or)?d|passphrase|parola|secret|token|api_?key|private_?key)([\w-]{0,40})[\"']?\s{0,4}[:=]\s{0,4}"
    r"(?:b?\"[^\"\n]{0,512}\"|b?'[^'\n]{0,512}'|[^\s,;&]{1,4096})"
)
_SECRET_NAME = re.compile(r"(?i)passw|passphrase|parola|secret|token|api_?key|private_?key|authorization|cookie")
_LONG = re.compile(r"(/?)([A-Za-z0-9_+=-]{16,})")
_PADDED_BASE64 = re.compile(r"(?<![A-Za-z0-9+/_-])[A-Za-z0-9+/_-]{4,}={1,2}(?![A-Za-z0-9=])")

_SUSPECT = re.compile(
    rf"[@\uff20\ufe6b]|%40|\d(?:{_DIGIT_GAP}\d){{6}}|[A-Za-z0-9_+=-]{{16}}|="
    r"|(?i:auth|cookie|passw|passphrase|parola|secret|token|api_?key|private_?key)"
)

_LONG_TOKEN = 20
_PATH_TOKEN = 16


def is_suspect(text: str) -> bool:
    """Whether ``redact`` could change ``text``; cheap."""
    return _SUSPECT.search(text) is not None


def is_secret_name(name: str) -> bool:
    """Whether a field of this name holds a secret, whatever its value looks like."""
    return _SECRET_NAME.search(name) is not None


def redact(text: str) -> str:
    """``text`` with everything masked that looks like an address, a phone number or a secret."""
    if _SUSPECT.search(text) is None:
        return text
    text = _AUTH.sub(rf"\1 {SECRET}", text)
    text = _HEADER.sub(rf"\1: {SECRET}", text)
    text = _SETTING.sub(rf"\1\2: {SECRET}", text)
    if any(sign in text for sign in _AT_SIGNS):
        text = _QUOTED_LOCAL_PART.sub("x", text)
        text = _WORD.sub(_mask_address, text)
    text = _PADDED_BASE64.sub(SECRET, text)
    text = _LONG.sub(_mask_token, text)
    return _NUMBER.sub(_mask_number, text)


def _mask_address(word: re.Match[str]) -> str:
    text = word[1]
    if not any(sign in text for sign in _AT_SIGNS):
        return word[0]
    literal = word[2] or ""
    return ADDRESS if text.endswith("@") else ADDRESS + literal


def _mask_number(number: re.Match[str]) -> str:
    return number[0] if number["keep"] else PHONE


def _mask_token(run: re.Match[str]) -> str:
    slash, text = run[1], run[2]
    has_digit = any(character.isdigit() for character in text)
    has_lower = any(character.islower() for character in text)
    has_upper = any(character.isupper() for character in text)
    is_token = (len(text) >= _LONG_TOKEN and has_digit and (has_lower or has_upper)) or (
        bool(slash) and len(text) >= _PATH_TOKEN and has_lower and has_upper
    )
    return f"{slash}{SECRET}" if is_token else run[0]
