"""The opt-out pages on a real listener, asked by people, mailbox providers and scanners."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Callable

import aiohttp
import pytest

from filters.token import Grant
from filters.vocabulary import Channel, RecipientType, Status

from .conftest import AYSE, CAFE, LOGO, RECEIVED_AT, SHOP, OptOut

ONE_CLICK = b"List-Unsubscribe=One-Click"
FORM = "application/x-www-form-urlencoded"
BUTTON = b"page=1"
SLOT = (Channel.EMAIL, RecipientType.INDIVIDUAL)
UNKNOWN = "A" * 66


class Answer:
    def __init__(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.status, self.headers, self.body = status, headers, body

    @property
    def text(self) -> str:
        return self.body.decode("utf-8")


async def ask(
    opt_out: OptOut, method: str, path: str, headers: dict[str, str] | None = None, data: object = None
) -> Answer:
    async with (
        aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar(), auto_decompress=False) as session,
        session.request(method, opt_out.url(path), headers=headers, data=data, allow_redirects=False) as response,
    ):
        return Answer(response.status, dict(response.headers), await response.read())


def multipart() -> aiohttp.FormData:
    form = aiohttp.FormData(default_to_multipart=True)
    form.add_field("List-Unsubscribe", "One-Click")
    return form


@pytest.mark.parametrize("data", [ONE_CLICK, None], ids=["form", "multipart"])
async def test_one_click_refuses_with_either_content_type(pages: OptOut, data: bytes | None) -> None:
    """RFC 8058: as Gmail and Yahoo send it, without cookie or login, answered 200 and shortly."""
    headers = {"Content-Type": FORM} if data else None
    answer = await ask(pages, "POST", f"/u/{pages.token()}", headers, data or multipart())
    assert (answer.status, answer.body) == (200, b"OK\n")
    assert pages.state()[SLOT].status is Status.REJECTED
    assert pages.state()[SLOT].source == "HS_EPOSTA"
    assert pages.state()[SLOT].consent_at == RECEIVED_AT


async def test_one_click_sets_no_cookie_and_does_not_redirect(pages: OptOut) -> None:
    answer = await ask(pages, "POST", f"/u/{pages.token()}", {"Content-Type": FORM}, ONE_CLICK)
    assert not {"Set-Cookie", "Location", "WWW-Authenticate"} & set(answer.headers)


async def test_the_button_of_the_page_refuses_and_confirms(pages: OptOut) -> None:
    """The form of the page is posted as a browser without scripts would."""
    page = await ask(pages, "GET", f"/u/{pages.token()}")
    (form,) = re.findall(r'<form method="(\w+)">', page.text)
    ((name, value),) = re.findall(r'<button type="submit" name="(\w+)" value="(\w+)">', page.text)
    assert "<script" not in page.text
    answer = await ask(pages, form.upper(), f"/u/{pages.token()}", {"Content-Type": FORM}, f"{name}={value}".encode())
    assert answer.status == 200
    assert "Talebiniz alındı" in answer.text
    assert pages.state()[SLOT].source == "HS_WEB"
    (report,) = (report for _, report in pages.reports())
    assert report.address == "ayse.ornek@example.com"


@pytest.mark.parametrize(
    ("data", "content_type"),
    [
        (b"", None),
        (b"anything", "text/plain"),
        (b'{"List-Unsubscribe": "One-Click"}', "application/json"),
        (b"List-Unsubscribe=One-Click&x=1", FORM),
        (b"\xff\xfe\x00", "application/octet-stream"),
        (b"--broken", "multipart/form-data"),
    ],
)
async def test_any_other_post_counts_as_a_refusal(pages: OptOut, data: bytes, content_type: str | None) -> None:
    """The token says all there is to say; a refusal is not lost for the form of its body."""
    answer = await ask(
        pages, "POST", f"/u/{pages.token()}", {"Content-Type": content_type} if content_type else {}, data
    )
    assert (answer.status, answer.body) == (200, b"OK\n")
    assert pages.state()[SLOT].status is Status.REJECTED


@pytest.mark.parametrize(
    ("method", "query", "headers"),
    [
        ("GET", "", {}),
        ("GET", "?List-Unsubscribe=One-Click", {}),
        ("GET", "?page=1&confirm=yes&lang=en", {}),
        ("GET", "", {"Sec-Purpose": "prefetch;prerender"}),
        ("GET", "", {"X-HTTP-Method-Override": "POST", "X-Method-Override": "POST"}),
        ("GET", "", {"User-Agent": "Mozilla/5.0 (compatible; link checker)"}),
        ("HEAD", "", {}),
        ("HEAD", "?List-Unsubscribe=One-Click", {}),
        ("OPTIONS", "", {"Origin": "https://other.example", "Access-Control-Request-Method": "POST"}),
        ("PUT", "", {}),
        ("DELETE", "", {}),
        ("PATCH", "", {}),
        ("TRACE", "", {}),
        ("PROPFIND", "", {}),
    ],
)
async def test_a_scanner_changes_nothing(pages: OptOut, method: str, query: str, headers: dict[str, str]) -> None:
    """Whatever it asks, the index is not even written to."""
    answer = await ask(pages, method, f"/u/{pages.token()}{query}", headers)
    assert answer.status in {200, 204, 405}
    assert pages.writer.calls == 0
    assert pages.evidence.records == []


async def test_a_get_with_the_body_of_one_click_changes_nothing(pages: OptOut) -> None:
    answer = await ask(pages, "GET", f"/u/{pages.token()}", {"Content-Type": FORM}, ONE_CLICK)
    assert answer.status == 200
    assert pages.writer.calls == 0


@pytest.mark.parametrize("brands", [[SHOP]])
@pytest.mark.parametrize(("method", "data"), [("GET", None), ("HEAD", None), ("POST", ONE_CLICK), ("POST", BUTTON)])
async def test_known_and_unknown_tokens_have_the_same_answer(pages: OptOut, method: str, data: bytes | None) -> None:
    """Status, headers and body, for a first and a repeated request; only a good token is recorded."""
    headers = {"Content-Type": FORM} if data else {}
    answers = [
        await ask(pages, method, f"/u/{token}", headers, data)
        for token in (pages.token(), pages.token(), UNKNOWN, "x", pages.token()[:-1], pages.token() + "A")
    ]
    for answer in answers:
        answer.headers.pop("Date")
        assert (answer.status, answer.headers, answer.body) == (
            answers[0].status,
            answers[0].headers,
            answers[0].body,
        )
    assert pages.writer.calls == (2 if method == "POST" else 0)


async def test_a_host_name_of_its_own_hides_whether_a_token_is_known(pages: OptOut) -> None:
    """Among several brands the host name tells which page an unknown token gets."""
    host = {"Host": "izin.shop.example"}
    known = await ask(pages, "GET", f"/u/{pages.token()}", host)
    unknown = await ask(pages, "GET", f"/u/{UNKNOWN}", host)
    assert known.body == unknown.body
    assert "Örnek Mağaza" in unknown.text


async def test_an_unknown_token_on_a_shared_host_gets_a_neutral_page(pages: OptOut) -> None:
    """No brand is named to one who has no token of it."""
    answer = await ask(pages, "GET", f"/u/{UNKNOWN}")
    assert answer.status == 200
    assert "Örnek" not in answer.text
    assert "Kahve" not in answer.text
    assert "<button" in answer.text


async def test_a_first_and_a_repeated_refusal_are_not_told_apart_by_time(pages: OptOut) -> None:
    """Nor an unknown token: no answer to a POST comes before the common minimum."""
    loop = asyncio.get_running_loop()
    for token in (pages.token(), pages.token(), UNKNOWN):
        started = loop.time()
        await ask(pages, "POST", f"/u/{token}", {"Content-Type": FORM}, ONE_CLICK)
        assert loop.time() - started >= 0.05


async def test_the_brand_and_channel_of_the_token_are_shown(pages: OptOut) -> None:
    """A name with markup in it stays a name."""
    token = pages.token(Grant(CAFE.code, Channel.SMS, None, b"+905000000000"))
    answer = await ask(pages, "GET", f"/u/{token}")
    assert "Kahve &amp; Çay &lt;Dükkânı&gt;" in answer.text
    assert "SMS almak istemiyorum" in answer.text
    assert "905000000000" not in answer.text


async def test_a_refusal_without_a_declared_type_covers_both(pages: OptOut) -> None:
    grant = AYSE._replace(recipient_type=None)
    await ask(pages, "POST", f"/u/{pages.token(grant)}", {"Content-Type": FORM}, ONE_CLICK)
    assert {kind for _, kind in pages.state(grant)} == set(RecipientType)


async def test_a_token_of_a_brand_no_longer_configured_still_refuses(pages: OptOut) -> None:
    """Old mail is opened years later."""
    grant = AYSE._replace(brand=999)
    answer = await ask(pages, "POST", f"/u/{pages.token(grant)}", {"Content-Type": FORM}, ONE_CLICK)
    assert answer.status == 200
    assert pages.state(grant)[SLOT].status is Status.REJECTED


@pytest.mark.parametrize("dragged", [".", ")", ">", ",", '"', "%3E", ".)"])
async def test_punctuation_dragged_behind_the_link_does_no_harm(pages: OptOut, dragged: str) -> None:
    """Mail programs and people take it for part of the link."""
    await ask(pages, "POST", f"/u/{pages.token()}{dragged}", {"Content-Type": FORM}, ONE_CLICK)
    assert pages.state()[SLOT].status is Status.REJECTED


@pytest.mark.parametrize("data", [ONE_CLICK, BUTTON])
async def test_a_failing_store_is_said_and_never_confirmed(pages: OptOut, data: bytes) -> None:
    """503 with Retry-After and a page in both languages; a second try succeeds."""
    pages.writer.is_failing = True
    answer = await ask(pages, "POST", f"/u/{pages.token()}", {"Content-Type": FORM}, data)
    assert answer.status == 503
    assert int(answer.headers["Retry-After"]) > 0
    assert "Talebiniz kaydedilemedi" in answer.text
    assert "Your request was not recorded" in answer.text
    assert "no space" not in answer.text
    assert "example.com" not in answer.text
    assert pages.state() == {}
    pages.writer.is_failing = False
    assert (await ask(pages, "POST", f"/u/{pages.token()}", {"Content-Type": FORM}, data)).status == 200
    assert pages.state()[SLOT].status is Status.REJECTED


async def test_while_the_store_fails_unknown_tokens_get_the_same_answer(pages: OptOut) -> None:
    pages.writer.is_failing = True
    known = await ask(pages, "POST", f"/u/{pages.token()}", {"Content-Type": FORM}, ONE_CLICK)
    unknown = await ask(pages, "POST", f"/u/{UNKNOWN}", {"Content-Type": FORM}, ONE_CLICK)
    assert (known.status, known.body) == (unknown.status, unknown.body)


async def test_the_answer_waits_for_the_store(pages: OptOut, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is confirmed while the write is under way."""
    may_write = asyncio.Event()
    apply = pages.writer.apply

    async def slow_apply(*arguments: object, **named: object) -> object:
        await may_write.wait()
        return await apply(*arguments, **named)

    monkeypatch.setattr(pages.writer, "apply", slow_apply)
    answer = asyncio.ensure_future(ask(pages, "POST", f"/u/{pages.token()}", {"Content-Type": FORM}, ONE_CLICK))
    await asyncio.sleep(0.2)
    assert not answer.done()
    may_write.set()
    assert (await answer).status == 200


@pytest.mark.parametrize("token", ["known", "unknown"])
async def test_one_token_may_be_used_only_so_often(pages: OptOut, token: str) -> None:
    """Beyond the limit 429, for known and unknown alike, and what was not recorded is not confirmed."""
    text = pages.token() if token == "known" else UNKNOWN
    answers = await asyncio.gather(
        *(ask(pages, "POST", f"/u/{text}", {"Content-Type": FORM}, ONE_CLICK) for _ in range(15))
    )
    answers += await asyncio.gather(
        *(ask(pages, "POST", f"/u/{text}", {"Content-Type": FORM}, ONE_CLICK) for _ in range(15))
    )
    statuses = [answer.status for answer in answers]
    assert statuses.count(200) in {20, 21}
    assert set(statuses) == {200, 429}
    assert pages.writer.calls == (statuses.count(200) if token == "known" else 0)
    other = await ask(pages, "POST", f"/u/{pages.token(AYSE._replace(address=b'b@example.com'))}", data=ONE_CLICK)
    assert other.status == 200


async def test_a_large_body_is_refused_and_records_nothing(pages: OptOut) -> None:
    for data in (ONE_CLICK + b"&" + b"x" * 9000, _chunks(ONE_CLICK, 9000)):
        answer = await ask(pages, "POST", f"/u/{pages.token()}", {"Content-Type": FORM}, data)
        assert answer.status == 413
    assert pages.writer.calls == 0


async def _chunks(first: bytes, count: int):
    yield first
    for _ in range(count // 1000):
        yield b"x" * 1000


async def test_every_answer_forbids_storing_framing_and_third_parties(pages: OptOut) -> None:
    """No script, no foreign picture, no referrer with a token in it."""
    paths = ["/", f"/u/{pages.token()}", f"/u/{UNKNOWN}", "/nothing/here", "/u/", "/logo/1", "/favicon.ico"]
    for path in paths:
        answer = await ask(pages, "GET", path)
        policy = answer.headers["Content-Security-Policy"]
        assert policy.startswith("default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'")
        assert "frame-ancestors 'none'" in policy
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["Referrer-Policy"] == "no-referrer"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["X-Frame-Options"] == "DENY"
        assert "noindex" in answer.headers["X-Robots-Tag"]
        assert answer.headers["Server"] == "izinkapi"
        assert not re.search(r'(?:src|href|action)="(?:https?:)?//', answer.text)
        assert "style=" not in answer.text


async def test_what_the_page_links_to_is_there(pages: OptOut) -> None:
    """Style and logo, by addresses relative to the page, so that a prefix of a reverse proxy does no harm."""
    page = await ask(pages, "GET", f"/u/{pages.token()}")
    (style,) = re.findall(r'<link rel="stylesheet" href="\.\.(/static/[^"]+)">', page.text)
    (logo,) = re.findall(r'<img class="logo" src="\.\.(/logo/\d+)"', page.text)
    style_answer = await ask(pages, "GET", style)
    assert (style_answer.status, style_answer.headers["Content-Type"]) == (200, "text/css; charset=utf-8")
    logo_answer = await ask(pages, "GET", logo)
    assert (logo_answer.status, logo_answer.headers["Content-Type"], logo_answer.body) == (200, "image/png", LOGO.data)
    assert "sandbox" in logo_answer.headers["Content-Security-Policy"]


@pytest.mark.parametrize(
    "path", ["/", "/index.html", "/u", "/u/", "/u/a/b", "/static/../pages.py", "/logo/abc", "/logo/٣"]
)
async def test_other_paths_get_a_neutral_page(pages: OptOut, path: str) -> None:
    answer = await ask(pages, "GET", path)
    assert answer.status == 404
    assert "Sayfa bulunamadı" in answer.text
    assert "Örnek" not in answer.text


async def test_a_notice_finds_its_style_at_any_depth(pages: OptOut) -> None:
    answer = await ask(pages, "GET", "/a/b/c")
    assert 'href="../../static/style.css?' in answer.text


async def test_robots_are_asked_to_stay_away(pages: OptOut) -> None:
    assert (await ask(pages, "GET", "/robots.txt")).body == b"User-agent: *\nDisallow: /\n"


@pytest.mark.parametrize(
    ("accept", "query", "language"),
    [
        ("", "", "tr"),
        ("tr-TR,tr;q=0.9,en-US;q=0.8", "", "tr"),
        ("en-US,en;q=0.9,tr;q=0.8", "", "en"),
        ("de-DE,de;q=0.9,en;q=0.5", "", "en"),
        ("de", "", "tr"),
        ("*", "", "tr"),
        ("en;q=0", "", "tr"),
        ("en;q=nonsense", "", "tr"),
        (";;;,,,=", "", "tr"),
        ("tr", "?lang=en", "en"),
        ("en", "?lang=tr", "tr"),
        ("en", "?lang=xx", "en"),
    ],
)
async def test_the_language_follows_the_reader(pages: OptOut, accept: str, query: str, language: str) -> None:
    """Turkish unless English is preferred to it, or asked for by the link on the page."""
    answer = await ask(pages, "GET", f"/u/{pages.token()}{query}", {"Accept-Language": accept})
    assert answer.headers["Content-Language"] == language
    assert f'<html lang="{language}">' in answer.text
    assert answer.headers["Vary"] == "Accept-Language"


async def test_no_token_or_address_is_logged_or_told(pages: OptOut, caplog: pytest.LogCaptureFixture) -> None:
    """At any level, from any library, for good, failing and malformed requests; routes and statuses are told."""
    caplog.set_level(logging.DEBUG)
    for name in ("aiohttp.server", "aiohttp.access", "aiohttp.web", "izinkapi.opt_out.http"):
        logging.getLogger(name).setLevel(logging.DEBUG)
    token = pages.token()
    await ask(pages, "POST", f"/u/{token}", {"Content-Type": FORM}, ONE_CLICK)
    pages.writer.is_failing = True
    await ask(pages, "POST", f"/u/{token}", {"Content-Type": FORM}, ONE_CLICK)
    await raw(pages, f"GET /u/{token} NONSENSE\r\n\r\n".encode())
    logged = "\n".join(record.getMessage() + str(record.exc_info) for record in caplog.records)
    assert token not in logged
    assert "ayse" not in logged
    assert pages.observer.answers == [("refuse", 200), ("refuse", 503)]


async def raw(opt_out: OptOut, request: bytes, *, wait_s: float = 5) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", opt_out.http_port)
    try:
        writer.write(request)
        await writer.drain()
        return await asyncio.wait_for(reader.read(), wait_s)
    finally:
        writer.close()
        await writer.wait_closed()


@pytest.mark.parametrize(
    "request_of",
    [
        lambda token: f"GET /u/{token} NONSENSE\r\n\r\n",
        lambda token: f"GET /u/{token} HTTP/1.1\r\nHost: x\r\nBad Header: {token}\r\n\r\n",
        lambda token: f"GET /u/{token} HTTP/1.1\r\nHost: x\r\nX: {'y' * 20_000}\r\n\r\n",
        lambda token: f"GET /u/{token}{'y' * 20_000} HTTP/1.1\r\nHost: x\r\n\r\n",
        lambda token: f"POST /u/{token} HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        lambda token: f"GET /u/{token} HTTP/1.1\r\nHost: x\r\n" + "X: y\r\n" * 200 + "\r\n",
    ],
)
async def test_bytes_that_are_no_request_are_not_repeated(pages: OptOut, request_of: Callable[[str], str]) -> None:
    """Answered 400 in our own words, and the connection is closed."""
    token = pages.token()
    answer = await raw(pages, request_of(token).encode())
    assert re.match(rb"HTTP/1\.[01] 400 ", answer)
    assert token.encode() not in answer
    assert pages.writer.calls == 0
    assert pages.observer.malformed == 1


async def test_a_post_sent_byte_by_byte_is_understood(pages: OptOut) -> None:
    request = (
        f"POST /u/{pages.token()} HTTP/1.1\r\nHost: izin.shop.example\r\nContent-Type: {FORM}\r\n"
        f"Content-Length: {len(ONE_CLICK)}\r\nConnection: close\r\n\r\n"
    ).encode() + ONE_CLICK
    reader, writer = await asyncio.open_connection("127.0.0.1", pages.http_port)
    for position in range(len(request)):
        writer.write(request[position : position + 1])
        await writer.drain()
    answer = await asyncio.wait_for(reader.read(), 5)
    writer.close()
    await writer.wait_closed()
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert pages.state()[SLOT].status is Status.REJECTED


async def test_a_body_that_never_ends_is_given_up(pages: OptOut, monkeypatch: pytest.MonkeyPatch) -> None:
    """408, nothing recorded, and the connection does not stay."""
    monkeypatch.setattr("gateway.opt_out.pages._BODY_TIMEOUT_S", 0.2)
    answer = await raw(
        pages, f"POST /u/{pages.token()} HTTP/1.1\r\nHost: x\r\nContent-Length: 26\r\n\r\nList-".encode(), wait_s=8
    )
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert pages.writer.calls == 0


async def test_a_connection_that_says_nothing_is_closed(pages: OptOut, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither silence nor a header that never ends holds a connection for long."""
    monkeypatch.setattr("gateway.opt_out.listener.IDLE_S", 0.3)
    assert await raw(pages, b"") == b""
    assert await raw(pages, b"GET / HTTP/1.1\r\nHost: x\r\nX-Slow: ") == b""


async def test_connections_beyond_the_limit_are_turned_away(pages: OptOut) -> None:
    """The others are served on."""
    held = [await asyncio.open_connection("127.0.0.1", pages.http_port) for _ in range(20)]
    await asyncio.sleep(0.1)
    assert (await raw(pages, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")).startswith(b"HTTP/1.1 503 ")
    assert pages.observer.turned_away == 1
    for _, writer in held:
        writer.close()
        await writer.wait_closed()
    await asyncio.sleep(0.1)
    assert (await ask(pages, "GET", "/robots.txt")).status == 200


async def test_a_packed_body_is_not_unpacked(pages: OptOut) -> None:
    """A bomb stays a few bytes."""
    headers = {"Content-Type": FORM, "Content-Encoding": "gzip"}
    answer = await ask(pages, "POST", f"/u/{pages.token()}", headers, b"\x1f\x8b not really")
    assert answer.status == 200
    assert pages.state()[SLOT].status is Status.REJECTED
