"""What goes upstream in header fields, and what an account is called where people read it."""

from __future__ import annotations

import base64
import json

import pytest

from filters.sms.dialect import RequestRefusedError, Segments
from filters.sms.dialects.headers import account_of, carried_headers, segments_header
from filters.sms.http import HttpRequest


def with_authorization(value: str) -> HttpRequest:
    return HttpRequest("POST", "/", "", (("authorization", value),))


def test_an_account_is_named_without_its_secret() -> None:
    """Users and applications by name, keys by the beginning of their hash."""
    claims = base64.urlsafe_b64encode(json.dumps({"application_id": "app-1"}).encode()).decode().rstrip("=")
    basic = base64.b64encode(b"user:secret").decode()
    assert account_of(with_authorization(f"Basic {basic}")) == "user"
    assert account_of(with_authorization(f"Bearer a.{claims}.c")) == "app-1"
    named = account_of(with_authorization("App topsecretkey"))
    assert named.startswith("App:")
    assert "topsecret" not in named
    assert account_of(HttpRequest("POST", "/")) == ""


@pytest.mark.parametrize("value", ["Basic", "Basic %%%", "Basic /w==", "Bearer a.b.c", "Bearer ..", "Bearer a.W10.c"])
def test_broken_credentials_name_nobody_and_break_nothing(value: str) -> None:
    """They are the provider's to refuse."""
    assert "user" not in account_of(with_authorization(value))


def test_only_what_is_the_sender_s_goes_upstream() -> None:
    """Credentials and names of software; neither our own fields nor those of the connection."""
    headers = (("authorization", "App k"), ("x-izin-class", "commercial"), ("cookie", "c"), ("token", "t"))
    request = HttpRequest("POST", "/", "", headers)
    assert carried_headers(request) == (("authorization", "App k"),)
    assert carried_headers(request, "token") == (("authorization", "App k"), ("token", "t"))


def test_credentials_twice_are_refused() -> None:
    """The provider might take the other ones."""
    with pytest.raises(RequestRefusedError):
        carried_headers(HttpRequest("POST", "/", "", (("authorization", "App a"), ("authorization", "App b"))))


def test_segments_of_all_texts_are_told_together() -> None:
    """Nothing is told where nothing was decided about texts."""
    assert segments_header([Segments(1, 1), Segments(1, 2)]) == (("x-izin-segments", "before=2, after=3"),)
    assert segments_header([]) == ()


def test_a_secret_in_any_charset_does_not_hide_the_account() -> None:
    """A rule for the account must find it, whatever its password is made of."""
    basic = base64.b64encode("8500000001:şifre".encode("iso-8859-9")).decode()
    assert account_of(with_authorization(f"Basic {basic}")) == "8500000001"
