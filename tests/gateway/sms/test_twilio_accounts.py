"""Whose account a request to Twilio is, for rules: the one of the address, whichever key opens it."""

from __future__ import annotations

import base64

import pytest

from filters.client import Client
from filters.sms.dialects.registry import make_dialect
from filters.sms.http import HttpRequest
from filters.sms.message import Submission
from filters.vocabulary import MessageClass
from gateway.sms.route import TagRule

SID, OTHER_SID, KEY = "AC" + "1" * 32, "AC" + "2" * 32, "SK" + "3" * 32


def read(user: str, sid: str = SID) -> Submission:
    dialect = make_dialect("twilio")
    basic = base64.b64encode(f"{user}:secret".encode()).decode()
    headers = (("content-type", "application/x-www-form-urlencoded"), ("authorization", f"Basic {basic}"))
    path = f"/2010-04-01/Accounts/{sid}/Messages.json"
    request = HttpRequest("POST", path, "", headers, b"To=%2B905320000001&From=ORNEK&Body=merhaba")
    call = dialect.recognise(request)
    assert call is not None
    return dialect.read(request, call)


@pytest.mark.parametrize("user", [SID, KEY])
def test_an_account_is_known_by_its_token_and_by_any_key_of_it(user: str) -> None:
    """One rule for the account covers all its keys."""
    rule = TagRule(account=SID, message_class=MessageClass.COMMERCIAL)
    assert rule.fits(Client("shop", (1,)), read(user), ())


def test_a_rule_may_name_one_key() -> None:
    rule = TagRule(account=KEY, message_class=MessageClass.INFORMATIONAL)
    assert rule.fits(Client("shop", (1,)), read(KEY), ())
    assert not rule.fits(Client("shop", (1,)), read(SID), ())


def test_another_account_is_another_one() -> None:
    """A parent's token may send for a subaccount: the rule of the subaccount holds, and that of the token."""
    found = read(SID, OTHER_SID)
    assert TagRule(account=OTHER_SID).fits(Client("shop", (1,)), found, ())
    assert not TagRule(account="AC" + "9" * 32).fits(Client("shop", (1,)), found, ())
