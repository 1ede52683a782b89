"""The login that the sandbox shows of a simulated provider is one that this provider takes."""

from __future__ import annotations

import pytest

from loadtest.providers import (
    iletimerkezi,
    infobip,
    jetsms,
    mutlucell,
    netgsm,
    turkcell,
    twilio,
    vatansms,
    verimor,
    vonage,
)


@pytest.mark.parametrize(
    ("login", "known"),
    [
        (netgsm.LOGIN, {user: a.password for user, a in netgsm.NetgsmSimulator().accounts.items()}),
        (iletimerkezi.LOGIN, {key: a.hash for key, a in iletimerkezi.IletiMerkeziSimulator().accounts.items()}),
        (verimor.LOGIN, verimor.VerimorSimulator().passwords),
        (infobip.LOGIN, infobip.InfobipSimulator().passwords),
        (jetsms.LOGIN, jetsms.JetSmsSimulator().passwords),
        (mutlucell.LOGIN, mutlucell.MutlucellSimulator().passwords),
        (turkcell.LOGIN, turkcell.TurkcellSimulator().passwords),
        (twilio.LOGIN, twilio.TwilioSimulator().passwords),
        (vatansms.LOGIN, vatansms.VatanSmsSimulator().passwords),
        (vonage.LOGIN, vonage.VonageSimulator().passwords),
    ],
)
def test_the_shown_login_opens_an_account(login: str, known: dict[str, str]) -> None:
    """A user and that user's own secret stand in it."""
    words = set(login.replace(",", " ").replace(";", " ").split())
    assert any({user, secret} <= words for user, secret in known.items())
