"""The official libraries of Twilio, Vonage and Infobip send through the gateway with nothing but the host changed."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
import requests
from infobip_api_client import ApiClient, Configuration
from infobip_api_client.api.sms_api import SmsApi
from infobip_api_client.exceptions import ApiException
from infobip_api_client.models import (
    IysRecipientType,
    SmsDestination,
    SmsMessage,
    SmsMessageContent,
    SmsMessageOptions,
    SmsRegionalOptions,
    SmsRequest,
    SmsResponse,
    SmsTextContent,
    TurkeyIysOptions,
)
from twilio.base.exceptions import TwilioRestException
from twilio.rest import Client
from twilio.rest.api.v2010.account.message import MessageInstance
from vonage import Auth, HttpClientOptions, Vonage
from vonage_http_client.errors import AuthenticationError, ForbiddenError
from vonage_messages import Sms
from vonage_sms import SmsMessage as VonageSms
from vonage_sms import SmsResponse as VonageResponse
from vonage_sms.errors import SmsError

from loadtest.providers import infobip, twilio, vonage
from tests.support.certificates import write_certificate
from tests.support.gateway_process import GatewayProcess, free_ports
from tests.support.http_thread import HttpThread

_PEOPLE = 100
SECRETS = {
    "twilio-path": "gizli-yolun-sonu-twilio-123456",
    "twilio-key": twilio.TOKEN,
    "vonage-path": "gizli-yolun-sonu-vonage-123456",
    "vonage-key": vonage.SIGNATURE_SECRET,
}
OVER_LONG = "Bahar indirimi " * 120


@dataclass
class Providers:
    """The gateway with three simulated providers behind it, and numbers that no other test uses."""

    port: int
    tls_port: int
    twilio: twilio.TwilioSimulator
    vonage: vonage.VonageSimulator
    infobip: infobip.InfobipSimulator
    urls: list[str]
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    def consenting(self) -> str:
        return f"90535{next(self._numbers):07d}"

    def refusing(self) -> str:
        return f"90536{next(self._numbers):07d}"

    def taken(self, simulator: Any, *numbers: str) -> list[tuple[str, str]]:
        """Number and text of what the provider took for any of ``numbers``."""
        found = [(message.number.lstrip("+"), message.text) for message in simulator.sent]
        return [(number, text) for number, text in found if number in numbers]

    def tell_incoming(self, url: str, provider: str, sender: str, text: str = "RET ORNEK") -> list[int]:
        """The simulator at ``url`` tells the gateway of an SMS; the statuses it was answered with."""
        secret = SECRETS[f"{provider}-path"]
        told = {"sender": sender, "destination": "3338", "text": text}
        requests.post(f"{url}/_sim/incoming", json=told, timeout=10).raise_for_status()
        target = {"url": f"http://127.0.0.1:{self.port}/sms/inbound/{secret}"}
        answer = requests.post(f"{url}/_sim/push", json=target, timeout=10)
        return [int(status) for status in answer.json()]

    def create(self, to: str, body: str = "Bahar indirimi", token: str = twilio.TOKEN, **more: Any) -> MessageInstance:
        client = Client(twilio.ACCOUNT, token)
        client.api.base_url = f"http://127.0.0.1:{self.port}"
        try:
            return client.messages.create(to=f"+{to}", from_="ORNEK", body=body, **more)
        finally:
            client.http_client.session.close()

    def _vonage(self, secret: str) -> Vonage:
        host = f"localhost:{self.tls_port}"
        options = HttpClientOptions(api_host=host, rest_host=host, max_retries=0, timeout=20)
        return Vonage(Auth(api_key=vonage.KEY, api_secret=secret), options)

    def send_sms(self, to: str, text: str = "Bahar indirimi", secret: str = vonage.SECRET) -> VonageResponse:
        client = self._vonage(secret)
        try:
            return client.sms.send(VonageSms(to=to, from_="ORNEK", text=text))
        finally:
            client.http_client._session.close()

    def send_message(self, to: str, text: str = "Bahar indirimi", secret: str = vonage.SECRET) -> str:
        client = self._vonage(secret)
        try:
            return str(client.messages.send(Sms(to=to, from_="ORNEK", text=text)).message_uuid)
        finally:
            client.http_client._session.close()

    def send_bulk(self, *numbers: str, text: str = "Bahar indirimi", key: str = infobip.KEY) -> SmsResponse:
        api = SmsApi(ApiClient(Configuration(host=f"http://127.0.0.1:{self.port}", api_key=key)))
        tag = TurkeyIysOptions(brand_code=600123, recipient_type=IysRecipientType.BIREYSEL)
        message = SmsMessage(
            sender="ORNEK",
            destinations=[SmsDestination(to=number) for number in numbers],
            content=SmsMessageContent(SmsTextContent(text=text)),
            options=SmsMessageOptions(regional=SmsRegionalOptions(turkey_iys=tag)),
        )
        try:
            return api.send_sms_messages(SmsRequest(messages=[message]))
        finally:
            api.api_client.rest_client.pool_manager.clear()


def consents() -> str:
    rows = ["recipient,type,recipientType,status,source,consentDate\r\n"]
    for n in range(_PEOPLE):
        rows.append(f"+90535{n:07d},MESAJ,BIREYSEL,ONAY,HS_WEB,2025-03-04 10:15:00\r\n")
        rows.append(f"+90536{n:07d},MESAJ,BIREYSEL,RET,HS_WEB,2025-03-04 10:15:00\r\n")
    return "".join(rows)


@pytest.fixture(scope="module")
def providers(
    make_shared_gateway: Callable[..., GatewayProcess], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Providers]:
    simulators = (twilio.TwilioSimulator(1), vonage.VonageSimulator(1), infobip.InfobipSimulator(1))
    servers = [HttpThread(simulator.app()) for simulator in simulators]
    port, tls_port = free_ports(2)
    folder = tmp_path_factory.mktemp("tls")
    certificate, key = write_certificate(folder)
    files = {}
    for name, secret in SECRETS.items():
        files[name] = folder / f"{name}.txt"
        files[name].write_text(f"{secret}\n", encoding="utf-8")
        files[name].chmod(0o600)

    def incoming(provider: str) -> dict[str, str]:
        return {
            "inbound_secret_file": str(files[f"{provider}-path"]),
            "inbound_signing_secret_file": str(files[f"{provider}-key"]),
        }

    def change(settings: dict[str, Any]) -> None:
        settings["brands"][0]["sms_opt_out"] = {"keyword": "RET ORNEK", "number": "3338"}
        settings["upstreams"]["sms"] = [
            {"name": "twilio", "dialect": "twilio", "base_url": servers[0].url, **incoming("twilio")},
            {"name": "vonage-sms", "dialect": "vonage_sms", "base_url": servers[1].url, **incoming("vonage")},
            {"name": "vonage-messages", "dialect": "vonage_messages", "base_url": servers[1].url},
            {"name": "infobip", "dialect": "infobip", "base_url": servers[2].url},
        ]
        settings["listeners"]["http"] += [
            {"address": f"127.0.0.1:{port}", "sms": ["twilio", "infobip"], "opt_out_pages": False},
            {
                "address": f"127.0.0.1:{tls_port}",
                "sms": ["vonage-sms", "vonage-messages"],
                "opt_out_pages": False,
                "tls": "tls",
                "certificate_file": str(certificate),
                "private_key_file": str(key),
            },
        ]

    make_shared_gateway(change=change, consents=consents())
    # The library's HTTP library reads here whom it may trust.
    before = os.environ.get("REQUESTS_CA_BUNDLE")
    os.environ["REQUESTS_CA_BUNDLE"] = str(certificate)
    yield Providers(port, tls_port, *simulators, [server.url for server in servers])
    if before is None:
        del os.environ["REQUESTS_CA_BUNDLE"]
    else:
        os.environ["REQUESTS_CA_BUNDLE"] = before
    for server in servers:
        server.close()


def test_twilio_creates_a_message_with_its_opt_out(providers: Providers) -> None:
    """The library gets the provider's own Message."""
    to = providers.consenting()
    message = providers.create(to)
    ((_, text),) = providers.taken(providers.twilio, to)
    assert message.sid == providers.twilio.taken[-1].sid
    assert text.startswith("Bahar indirimi")
    assert "RET ORNEK" in text
    assert "3338" in text


def test_twilio_hears_of_a_refusal_as_of_an_unsubscribed_recipient(providers: Providers) -> None:
    """21610, and nothing goes upstream."""
    to, before = providers.refusing(), len(providers.twilio.requests)
    with pytest.raises(TwilioRestException) as refusal:
        providers.create(to)
    assert (refusal.value.code, refusal.value.status) == (21610, 400)
    assert len(providers.twilio.requests) == before


def test_twilio_sends_unicode_whole(providers: Providers) -> None:
    """Letters and pictures arrive as they were sent, before the opt-out."""
    to = providers.consenting()
    providers.create(to, "Şubat çekilişi başladı 🙂")
    ((_, text),) = providers.taken(providers.twilio, to)
    assert text.startswith("Şubat çekilişi başladı 🙂")
    assert "RET ORNEK" in text


def test_twilio_hears_over_long_texts_and_wrong_credentials_in_its_own_codes(providers: Providers) -> None:
    """21617 is ours, before anything is sent; 20003 the provider's."""
    to = providers.consenting()
    with pytest.raises(TwilioRestException) as over_long:
        providers.create(to, OVER_LONG)
    with pytest.raises(TwilioRestException) as wrong:
        providers.create(to, token="wrong")
    assert (over_long.value.code, wrong.value.code, wrong.value.status) == (21617, 20003, 401)
    assert providers.taken(providers.twilio, to) == []


def test_vonage_sends_an_sms_with_its_opt_out(providers: Providers) -> None:
    """Status 0 with the provider's id; Turkish letters whole."""
    to = providers.consenting()
    answer = providers.send_sms(to, "Şubat çekilişi")
    ((_, text),) = providers.taken(providers.vonage, to)
    assert answer.messages[0].message_id == providers.vonage.taken[-1].sid
    assert text.startswith("Şubat çekilişi")
    assert "RET ORNEK" in text


def test_vonage_hears_of_a_refusal_as_of_a_barred_number(providers: Providers) -> None:
    """Status 7 in the one interface, problem 1050 in the other; nothing goes upstream."""
    before = len(providers.vonage.requests)
    with pytest.raises(SmsError, match="error code 7"):
        providers.send_sms(providers.refusing())
    with pytest.raises(ForbiddenError) as refusal:
        providers.send_message(providers.refusing())
    assert refusal.value.response.json()["type"].endswith("1050")
    assert len(providers.vonage.requests) == before


def test_vonage_sends_a_message_with_its_opt_out(providers: Providers) -> None:
    """The library reads the provider's message_uuid."""
    to = providers.consenting()
    message_id = providers.send_message(to)
    ((_, text),) = providers.taken(providers.vonage, to)
    assert message_id == providers.vonage.taken[-1].sid
    assert "RET ORNEK" in text


def test_vonage_hears_over_long_texts_and_wrong_credentials_in_its_own_codes(providers: Providers) -> None:
    """12 is ours; 4 and HTTP 401 are the provider's."""
    to = providers.consenting()
    with pytest.raises(SmsError, match="error code 12"):
        providers.send_sms(to, OVER_LONG * 2)
    with pytest.raises(SmsError, match="error code 4"):
        providers.send_sms(to, secret="wrong")
    with pytest.raises(AuthenticationError):
        providers.send_message(to, secret="wrong")
    assert providers.taken(providers.vonage, to) == []


def test_infobip_sends_to_some_and_hears_of_the_others_in_the_answer(providers: Providers) -> None:
    """Order is kept; who refused is rejected with a telling name, the others are the provider's."""
    people = [providers.refusing(), providers.consenting(), providers.refusing(), providers.consenting()]
    answer = providers.send_bulk(*people, text="Şubat çekilişi")
    assert [row.destination for row in answer.messages] == people
    assert [row.status.name for row in answer.messages] == ["REJECTED_IYS_REFUSED", "PENDING_ACCEPTED"] * 2
    taken = providers.taken(providers.infobip, *people)
    assert [number for number, _ in taken] == [people[1], people[3]]
    assert all(text.startswith("Şubat çekilişi") and "RET ORNEK" in text for _, text in taken)


def test_infobip_with_nobody_left_gets_an_id(providers: Providers) -> None:
    """Nothing goes upstream; the library reads an answer like any other."""
    people, before = [providers.refusing(), providers.refusing()], len(providers.infobip.requests)
    answer = providers.send_bulk(*people)
    assert answer.bulk_id.startswith("0")
    assert [row.status.id for row in answer.messages] == [14, 14]
    assert len(providers.infobip.requests) == before


def test_infobip_hears_over_long_texts_and_wrong_credentials_in_its_own_way(providers: Providers) -> None:
    """400 is ours, 401 the provider's."""
    to = providers.consenting()
    with pytest.raises(ApiException) as over_long:
        providers.send_bulk(to, text=OVER_LONG * 2)
    with pytest.raises(ApiException) as wrong:
        providers.send_bulk(to, key="wrong")
    assert (over_long.value.status, wrong.value.status) == (400, 401)
    assert providers.taken(providers.infobip, to) == []


def test_a_refusal_by_sms_counts_for_the_next_message(providers: Providers) -> None:
    """Twilio and Vonage tell of it with their signatures; from then on nobody reaches that person."""
    for provider, url in (("twilio", providers.urls[0]), ("vonage", providers.urls[1])):
        to = providers.consenting()
        providers.create(to)
        assert providers.tell_incoming(url, provider, f"+{to}" if provider == "twilio" else to) == [200]
        with pytest.raises(TwilioRestException) as refusal:
            providers.create(to)
        assert refusal.value.code == 21610
        assert len(providers.taken(providers.twilio, to)) == 1


def test_a_forged_refusal_counts_for_nothing(providers: Providers) -> None:
    """The path is right and the signature is not: whoever knows the address only cannot speak for people."""
    to = providers.consenting()
    form = {"MessageSid": "SM1", "From": f"+{to}", "To": "3338", "Body": "RET ORNEK"}
    url = f"http://127.0.0.1:{providers.port}/sms/inbound/{SECRETS['twilio-path']}"
    answer = requests.post(url, data=form, headers={"X-Twilio-Signature": "AAAA"}, timeout=10)
    assert answer.status_code == 403
    assert providers.create(to).sid
