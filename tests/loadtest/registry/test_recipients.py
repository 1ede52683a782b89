"""Which addresses the registry takes (reference 2.3)."""

from __future__ import annotations

import pytest

from loadtest.registry.rules.recipients import find_recipient_fault, normalise

LONGEST = "a" * (265 - len("@example.com")) + "@example.com"


@pytest.mark.parametrize(
    ("recipient", "channel", "code"),
    [
        ("+905321234567", "MESAJ", None),
        ("+905992000000", "MESAJ", None),  # the example in the registry's own error text
        ("+902121234567", "ARAMA", None),
        ("+9005321234567", "MESAJ", None),  # can be stored, and is then invisible
        ("+4915112345678", "MESAJ", None),
        ("905321234567", "MESAJ", "H121"),
        ("05321234567", "MESAJ", "H121"),
        ("+90 532 123 45 67", "MESAJ", "H121"),
        ("+90532123456", "MESAJ", "H121"),
        ("+901111111111", "ARAMA", "H121"),
        ("+90532123456789", "MESAJ", "H121"),
        ("+905321234567890", "MESAJ", "H160"),
        ("a@example.com", "MESAJ", "H121"),
        ("+905321234567", "EPOSTA", "H120"),
        ("_-.a..b+etiket@example.com", "EPOSTA", None),
        ("a@ab.cd", "EPOSTA", None),
        ("a@b.cd", "EPOSTA", "H120"),
        ("a@ab.c", "EPOSTA", "H120"),
        ("@ab.cd", "EPOSTA", "H120"),
        ("a@ab..cd", "EPOSTA", "H120"),
        ("a b@example.com", "EPOSTA", "H120"),
        ("a'b@example.com", "EPOSTA", "H120"),
        ("ğ@example.com", "EPOSTA", "H120"),
        ("a@example.com\n", "EPOSTA", "H120"),
        (LONGEST, "EPOSTA", None),
        ("a" + LONGEST, "EPOSTA", "H120"),
        ("", "MESAJ", "H121"),
        ("x", None, "H122"),
    ],
)
def test_an_address_fits_its_channel_or_has_a_code(recipient: str, channel: str | None, code: str | None) -> None:
    """Phone numbers by libphonenumber and length, e-mail by the reference's own description."""
    assert find_recipient_fault(recipient, channel) == code


def test_only_mail_addresses_are_lowered() -> None:
    """Phone numbers stay as they came, the mistyped ones too."""
    assert normalise("AYSE@Example.COM") == "ayse@example.com"
    assert normalise("+9005321234567") == "+9005321234567"
