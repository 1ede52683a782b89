"""What the way to the registry can do to a call: each becomes a value, and nothing leaks into text."""

from __future__ import annotations

import asyncio
import gzip
import logging
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from aiohttp import web

from adapters.registry import Credentials, Patience, RegistryAddress, RegistryClient, RegistrySettingsError
from adapters.registry.transport import HttpTransport
from filters.registry.calls import account, consents, reconciliation
from filters.registry.calls.retailers import delete_retailer
from filters.registry.error_codes import Advice
from filters.registry.failures import (
    Failure,
    Limited,
    Refused,
    ServerFault,
    TransportFault,
    TransportProblem,
    Unreadable,
)
from filters.registry.limits import Limits
from filters.registry.values import Added, ConsentToAdd, RegistryBrand, StoredConsent
from filters.vocabulary import Channel, RecipientType, Status
from tests.adapters.registry.conftest import PASSWORD, USERNAME, MakeAddress
from tests.support.certificates import Authority
from tests.support.simulated_registry import SimulatedRegistry

BRAND = RegistryBrand(600123, 600123)
ACCOUNT = Credentials(USERNAME, PASSWORD)
UNLIMITED = Limits(per_second=100_000)
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def approval(registry: SimulatedRegistry, recipient: str) -> ConsentToAdd:
    at = int(registry.now()) - 60
    return ConsentToAdd(recipient, Channel.EMAIL, RecipientType.INDIVIDUAL, Status.APPROVED, at, "HS_WEB")


@pytest.fixture
async def ready(registry: SimulatedRegistry, make_address: MakeAddress) -> RegistryClient:
    """A client that is logged in and has little patience."""
    registry.set(requests_per_second=100_000)
    client = make_address(limits=UNLIMITED, patience=Patience(connect_s=1, answer_s=0.5)).client(ACCOUNT)
    assert not isinstance(await client.brands(600123), Failure)
    registry.control("DELETE", "requests")
    return client


@pytest.fixture
async def serve() -> AsyncIterator[Callable[[Handler], Awaitable[str]]]:
    """Runs a server of one handler on loopback; gives its URL."""
    runners: list[web.AppRunner] = []

    async def start(handler: Handler) -> str:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", handler)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        runners.append(runner)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        return site.name.replace("://127.0.0.1:0", f"://127.0.0.1:{runner.addresses[0][1]}")

    yield start
    for runner in runners:
        await runner.cleanup()


@pytest.mark.parametrize(
    ("kind", "problem"),
    [
        ("half", TransportProblem.CUT_OFF),
        ("cut", TransportProblem.CUT_OFF),
        ("cut-after", TransportProblem.CUT_OFF),
        ("slow", TransportProblem.TIMED_OUT),
    ],
)
async def test_an_answer_that_does_not_come_whole_is_a_fault(
    registry: SimulatedRegistry, ready: RegistryClient, kind: str, problem: TransportProblem
) -> None:
    """Cut before, within or after the answer, or too late; a question may simply be asked again."""
    registry.fault(kind, count=1, seconds=0.6)
    fault = await ready.brands(600123)
    assert fault == TransportFault(problem, may_be_done=False)
    assert fault.advice is Advice.RESEND
    assert not isinstance(await ready.brands(600123), Failure)


@pytest.mark.parametrize("kind", ["cut-after", "half"])
async def test_an_add_whose_answer_was_lost_is_looked_up_or_repeated_by_the_second_version(
    registry: SimulatedRegistry, ready: RegistryClient, kind: str
) -> None:
    """The first version says check first, and it was stored; the second says resend, and that is recognised."""
    first = approval(registry, f"erst-{kind}@shop.example")
    registry.fault(kind, count=1)
    lost = await ready.add_v1(BRAND, first)
    assert isinstance(lost, TransportFault)
    assert lost.advice is Advice.CHECK_FIRST
    assert isinstance(await ready.status(BRAND, first.subject), StoredConsent)
    second = approval(registry, f"zweit-{kind}@shop.example")
    registry.fault(kind, count=1)
    lost = await ready.add(BRAND, second)
    assert isinstance(lost, TransportFault)
    assert lost.advice is Advice.RESEND
    assert isinstance(await ready.add(BRAND, second), Added)


async def test_no_request_is_sent_twice_behind_our_back(registry: SimulatedRegistry, ready: RegistryClient) -> None:
    """On a kept connection that breaks, the library would repeat a GET uncounted; here the server sees it once."""
    registry.fault("cut")
    assert isinstance(await ready.brands(600123), TransportFault)
    assert registry.operations() == {"brands": 1}
    assert isinstance(await ready.delete_retailer(BRAND, 10_000_001), TransportFault)
    assert registry.traffic()["total"] == 2


async def test_maintenance_rubbish_and_bare_statuses_are_values_too(
    registry: SimulatedRegistry, ready: RegistryClient
) -> None:
    """HTML with 503, bytes with 200, and codes without a body."""
    registry.fault("maintenance", count=1)
    assert await ready.brands(600123) == ServerFault(503, ())
    registry.fault("garbage", count=1)
    assert isinstance(await ready.brands(600123), Unreadable)
    registry.fault("status", status=302, count=1)
    assert await ready.brands(600123) == Refused(302, ())
    registry.fault("status", status=429, count=1)
    assert isinstance(await ready.brands(600123), Limited)


async def test_nobody_listening_is_no_connection(make_address: MakeAddress) -> None:
    """And nothing can have been done."""
    transport = HttpTransport("http://127.0.0.1:9")
    for call in (account.brands(1), delete_retailer(BRAND, 10_000_001)):
        assert await transport.exchange(call, "t") == TransportFault(TransportProblem.NOT_CONNECTED, False)
    await transport.close()


async def test_what_never_left_cannot_have_been_done(registry: SimulatedRegistry) -> None:
    """A peer that takes the connection and is silent in the handshake has seen no request."""
    silent = socket.create_server(("127.0.0.1", 0))
    url = f"https://127.0.0.1:{silent.getsockname()[1]}"
    transport = HttpTransport(url, patience=Patience(connect_s=5, answer_s=0.2))
    call = consents.add_v1(BRAND, approval(registry, "stumm@shop.example"))
    assert await transport.exchange(call, "t") == TransportFault(TransportProblem.TIMED_OUT, may_be_done=False)
    await transport.close()
    silent.close()


async def test_a_redirect_is_not_followed(serve: Callable[[Handler], Awaitable[str]]) -> None:
    """The token goes to the registry and nowhere else."""
    paths: list[str] = []

    async def handle(request: web.Request) -> web.StreamResponse:
        paths.append(request.path)
        return web.Response(status=307, headers={"Location": "/elsewhere"})

    transport = HttpTransport(await serve(handle))
    answer = await transport.exchange(account.brands(1), "t")
    await transport.close()
    assert not isinstance(answer, TransportFault)
    assert answer.status == 307
    assert paths == ["/sps/1/brands"]


async def test_an_endless_answer_is_cut_at_the_bound(serve: Callable[[Handler], Awaitable[str]]) -> None:
    """Memory does not grow with what a server sends."""

    async def handle(request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse()
        await answer.prepare(request)
        try:
            while True:
                await answer.write(b"x" * 65536)
        except ConnectionError:
            return answer

    transport = HttpTransport(await serve(handle))
    assert await transport.exchange(account.brands(1), "t") == TransportFault(TransportProblem.TOO_LARGE, False)
    await transport.close()


async def test_a_compressed_answer_is_not_unpacked(serve: Callable[[Handler], Awaitable[str]]) -> None:
    """We ask for none; what comes all the same is not expanded in memory."""
    asked: list[str] = []

    async def handle(request: web.Request) -> web.StreamResponse:
        asked.append(request.headers["Accept-Encoding"])
        return web.Response(body=gzip.compress(b"[]" + b" " * 1_000_000), headers={"Content-Encoding": "gzip"})

    address = RegistryAddress(await serve(handle), limits=UNLIMITED)
    fault = await address.client(ACCOUNT).brands(1)
    await address.close()
    assert fault == TransportFault(TransportProblem.ENCODED, False)
    assert asked == ["identity"]


async def test_cookies_are_not_kept(serve: Callable[[Handler], Awaitable[str]]) -> None:
    """Nor is anything else of the session but the connection."""
    cookies: list[str | None] = []

    async def handle(request: web.Request) -> web.StreamResponse:
        cookies.append(request.headers.get("Cookie"))
        return web.Response(body=b"[]", headers={"Set-Cookie": "a=b"})

    # By name: of hosts that are bare IP addresses no jar keeps cookies anyway.
    transport = HttpTransport((await serve(handle)).replace("127.0.0.1", "localhost"))
    for _ in range(2):
        assert not isinstance(await transport.exchange(account.brands(1), None), TransportFault)
    await transport.close()
    assert cookies == [None, None]


async def test_a_file_goes_block_by_block_where_it_is_wanted(serve: Callable[[Handler], Awaitable[str]]) -> None:
    """Only the body of a success; that of an error is read as such."""

    async def handle(request: web.Request) -> web.StreamResponse:
        if request.path.endswith("2026-07-02/file"):
            return web.Response(status=422, body=b'{"errors":[{"code":"H502"}]}')
        return web.Response(body=b"y" * 300_000)

    transport, blocks = HttpTransport(await serve(handle)), list[bytes]()
    good = await transport.exchange(reconciliation.daily_file(BRAND, "2026-07-01"), "t", blocks.append)
    assert not isinstance(good, TransportFault)
    assert (good.body, good.size_bytes, sum(map(len, blocks))) == (b"", 300_000, 300_000)
    assert len(blocks) > 1
    bad = await transport.exchange(reconciliation.daily_file(BRAND, "2026-07-02"), "t", blocks.append)
    await transport.close()
    assert not isinstance(bad, TransportFault)
    assert b"H502" in bad.body
    assert sum(map(len, blocks)) == 300_000


async def test_a_fault_of_the_reader_is_not_taken_for_one_of_the_network(
    serve: Callable[[Handler], Awaitable[str]],
) -> None:
    """A full disk is raised as it is, and the next call goes on."""

    async def handle(request: web.Request) -> web.StreamResponse:
        return web.Response(body=b"y" * 300_000)

    def write(block: bytes) -> None:
        raise OSError(28, "no space")

    transport = HttpTransport(await serve(handle))
    with pytest.raises(OSError, match="no space"):
        await transport.exchange(reconciliation.daily_file(BRAND, "2026-07-01"), "t", write)
    assert not isinstance(await transport.exchange(account.brands(1), "t"), TransportFault)
    await transport.close()
    assert await transport.exchange(account.brands(1), "t") == TransportFault(TransportProblem.NOT_CONNECTED, False)


async def test_certificates_are_verified(tmp_path: Path) -> None:
    """An authority we know and the right name: an answer. Another authority: no word is sent."""
    authority = Authority(tmp_path)
    certificate, key = authority.issue("localhost", "127.0.0.1")
    server = SimulatedRegistry("--certificate", str(certificate), "--key", str(key))
    server.start()
    try:
        url = server.url.replace("http://", "https://")
        known = RegistryAddress(url, ca_file=str(authority.certificate))
        assert not isinstance(await known.client(ACCOUNT).brands(600123), Failure)
        await known.close()
        stranger = RegistryAddress(url)
        assert await stranger.client(ACCOUNT).brands(600123) == TransportFault(TransportProblem.TLS, False)
        await stranger.close()
    finally:
        server.stop()


@pytest.mark.parametrize(
    "url",
    [
        "http://api.iys.example",
        "http://10.0.0.1:8090",
        "ftp://127.0.0.1",
        "api.iys.example",
        "https://",
        "https://user:word@iys.example",
        "https://iys.example/?x=1",
        "http://127.0.0.1:port",
        "",
    ],
)
def test_a_base_url_that_is_not_safe_is_refused(url: str) -> None:
    """https, or http on loopback; no credentials, no query."""
    with pytest.raises(RegistrySettingsError):
        RegistryAddress(url)


def test_patience_has_an_end() -> None:
    """Nothing waits for ever, and nothing not at all."""
    for wrong in ({"turn_s": 0}, {"answer_s": float("inf")}, {"connect_s": float("nan")}):
        with pytest.raises(RegistrySettingsError):
            Patience(**wrong)


def test_an_unusable_ca_file_is_named(tmp_path: Path) -> None:
    """At the start, not at the first call."""
    (tmp_path / "ca.pem").write_text("no certificate")
    for name in ("ca.pem", "missing.pem"):
        with pytest.raises(RegistrySettingsError):
            RegistryAddress("https://iys.example", ca_file=str(tmp_path / name))


async def test_no_log_and_no_result_shows_an_address_or_a_secret(
    registry: SimulatedRegistry, ready: RegistryClient, make_address: MakeAddress, caplog: pytest.LogCaptureFixture
) -> None:
    """Every library at its most talkative, over every fault: no recipient, token, user or password."""
    caplog.set_level(logging.DEBUG)
    consent = approval(registry, "gizli.kisi@shop.example")
    shown: list[str] = []
    for kind in ("half", "cut", "slow", "maintenance", "garbage", "expired", "code"):
        registry.fault(kind, count=1, seconds=0.6, code="H120")
        shown += [repr(await ready.status(BRAND, consent.subject)), repr(await ready.add(BRAND, consent))]
        registry.control("DELETE", "limits")
    registry.fault("cut", path="/oauth2/token")
    shown.append(repr(await make_address(limits=UNLIMITED).client(ACCOUNT).brands(600123)))
    failures = [line for line in shown if "Consent" not in line and "Added" not in line]
    assert len(failures) >= 7
    for text in (caplog.text, *failures):
        for secret in ("gizli", USERNAME, PASSWORD, "Bearer", "eyJ"):
            assert secret not in text


@pytest.mark.parametrize("path", ["/oauth2/token", "/brands"])
async def test_closing_ends_calls_under_way_as_failures(
    registry: SimulatedRegistry, make_address: MakeAddress, path: str
) -> None:
    """In the middle of the login, in the middle of the call, and one that comes too late: nobody waits, none raises."""
    address = make_address(limits=UNLIMITED)
    client = address.client(ACCOUNT)
    registry.fault("slow", path=path, seconds=0.5)
    calls = [asyncio.create_task(client.brands(600123)) for _ in range(3)]
    await asyncio.sleep(0.15)
    await address.close()
    async with asyncio.timeout(0.25):
        results = await asyncio.gather(*calls)
    assert all(isinstance(result, Failure) for result in results)
    assert isinstance(await client.brands(600123), Failure)


async def test_the_observer_hears_of_every_request(registry: SimulatedRegistry, make_address: MakeAddress) -> None:
    """By closed lists of words, so that they may be labels of a metric."""
    heard: list[tuple[str, str]] = []

    class Observer:
        def call_ended(self, name: str, result: str, seconds: float) -> None:
            assert seconds >= 0
            heard.append((name, result))

    client = make_address(observer=Observer(), limits=UNLIMITED).client(ACCOUNT)
    await client.brands(600123)
    registry.fault("maintenance", count=1)
    await client.brands(600123)
    await client.brands(1)
    assert heard == [("login", "ok"), ("brands", "ok"), ("brands", "server_fault"), ("brands", "refused")]
