"""What HTTP clients of other languages do differently makes no difference to the simulated registry."""

from __future__ import annotations

import asyncio
import codecs
import gzip
import json
from typing import NamedTuple
from urllib.parse import urlsplit

import pytest

from loadtest.registry.book.world import DEFAULT_PASSWORD, DEFAULT_USERNAME
from tests.support.registry_world import BRAND, CONSENTS, RegistryWorld, item

LOGIN = {"grant_type": "password", "username": DEFAULT_USERNAME, "password": DEFAULT_PASSWORD}
FORM = f"grant_type=password&username={DEFAULT_USERNAME.replace('@', '%40')}&password={DEFAULT_PASSWORD}".encode()
LOGIN_BODY = json.dumps(LOGIN).encode()
ADD_BODY = json.dumps(item()).encode()
BRANDS = "/sps/600123/brands"


class Heard(NamedTuple):
    """An answer as it came over the wire; ``interim`` says whether the body was asked for first."""

    status: int
    body: bytes
    interim: bool


async def say(
    world: RegistryWorld,
    method: str,
    path: str,
    body: bytes = b"",
    *,
    headers: tuple[str, ...] = (),
    version: str = "1.1",
    token: str | None = None,
) -> Heard:
    """A request written by hand, header by header, and whatever comes back until the connection is closed."""
    place = urlsplit(world.server.url)
    reader, writer = await asyncio.open_connection(place.hostname, place.port)
    lines = [f"{method} {path} HTTP/{version}", "Connection: close", *headers]
    if version == "1.1":
        lines.append("Host: 127.0.0.1")
    if token is None:
        lines.append(f"AUTHORIZATION: bearer {world.token}")
    is_chunked = any(each.lower().startswith("transfer-encoding") for each in headers)
    if body and not is_chunked:
        lines.append(f"content-length: {len(body)}")
    writer.write("\r\n".join([*lines, "", ""]).encode())
    interim = False
    async with asyncio.timeout(10):
        if any(each.lower().startswith("expect") for each in headers):
            interim = (await reader.readline()).startswith(b"HTTP/1.1 100")
            await reader.readline()
        if is_chunked:
            body = b"".join(b"%x\r\n%s\r\n" % (1, body[at : at + 1]) for at in range(len(body))) + b"0\r\n\r\n"
        writer.write(body)
        head, _, content = (await reader.read()).partition(b"\r\n\r\n")
    writer.close()
    await writer.wait_closed()
    return Heard(int(head.split()[1]), content, interim)


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("application/json", LOGIN_BODY),
        ("application/json; charset=utf-8", LOGIN_BODY),
        ('Application/JSON;charset="UTF-8"', codecs.BOM_UTF8 + LOGIN_BODY),
        ("text/plain", LOGIN_BODY),
        ("application/x-www-form-urlencoded", FORM),
        ("application/x-www-form-urlencoded; charset=UTF-8", FORM),
        ("application/x-www-form-urlencoded", FORM.replace(b"%40", b"@")),
    ],
)
@pytest.mark.parametrize("path", ["/oauth2/token", "//oauth2/token", "/oauth2/token/"])
async def test_a_token_is_given_for_json_and_form_however_they_are_labelled(
    world: RegistryWorld, content_type: str, body: bytes, path: str
) -> None:
    """Charset, quotes, capitals, a byte order mark; an address that ends in a slash."""
    heard = await say(world, "POST", path, body, headers=(f"cOnTeNt-tYpE: {content_type}",), token="")
    assert heard.status == 200, heard.body
    assert json.loads(heard.body)["token_type"] == "bearer"


@pytest.mark.parametrize(
    ("headers", "body", "is_interim"),
    [
        (("Content-Type: application/json;charset=utf-8",), ADD_BODY, False),
        (("Content-Type: application/json", "Expect: 100-continue"), ADD_BODY, True),
        (("Content-Type: application/json", "Transfer-Encoding: chunked"), ADD_BODY, False),
        (("Content-Type: application/json", "Content-Encoding: gzip"), gzip.compress(ADD_BODY), False),
        (("content-type: application/json", "accept: */*", "accept-encoding: gzip, deflate, br"), ADD_BODY, False),
        ((), codecs.BOM_UTF8 + ADD_BODY, False),
    ],
)
async def test_a_consent_is_taken_however_its_body_travels(
    world: RegistryWorld, headers: tuple[str, ...], body: bytes, is_interim: bool
) -> None:
    """In pieces, packed, announced, or without a word about what it is."""
    heard = await say(world, "POST", CONSENTS, body, headers=headers)
    assert (heard.status, heard.interim) == (200, is_interim), heard.body
    assert set(json.loads(heard.body)) == {"transactionId", "creationDate"}


@pytest.mark.parametrize("version", ["1.0", "1.1"])
@pytest.mark.parametrize("path", [BRANDS, "/" + BRANDS, BRANDS + "/", "//" + BRANDS + "/"])
@pytest.mark.parametrize("body", [b"", b"null", b"{}"])
async def test_a_question_is_answered_with_a_body_or_without(
    world: RegistryWorld, version: str, path: str, body: bytes
) -> None:
    """Also to who speaks HTTP/1.0 and says nothing of what it accepts."""
    heard = await say(world, "GET", path, body, version=version)
    assert heard.status == 200, heard.body
    assert [brand["brandCode"] for brand in json.loads(heard.body)] == [600123, 600124]


async def test_a_cursor_is_understood_in_any_spelling(world: RegistryWorld) -> None:
    """With its underscore plain or escaped, its parameters in any order, empty at first."""
    for person in ("a", "b"):
        await world.call("POST", CONSENTS, item(recipient=f"{person}@example.com"))
        await world.advance(1)
    await world.advance(90 * 60)
    first = json.loads((await say(world, "GET", f"{CONSENTS}/changes?after=&limit=1&source=HS")).body)
    for cursor in (first["after"], first["after"].replace("_", "%5F"), first["after"].replace("_", "%5f")):
        page = json.loads((await say(world, "GET", f"{CONSENTS}/changes?source=HS&after={cursor}&limit=999")).body)
        assert [each["recipient"] for each in page["list"]] == ["b@example.com"]
    assert (await say(world, "GET", f"{CONSENTS}/changes?source=HS&after={page['after']}")).status == 204


@pytest.mark.parametrize(
    ("query", "status"),
    [("offset=" + "9" * 5000, 422), ("limit=" + "9" * 5000, 422), ("limit=0", 422), ("limit=100&offset=7", 200)],
)
async def test_numbers_without_end_are_refused_and_break_nothing(world: RegistryWorld, query: str, status: int) -> None:
    """They are no numbers of pages."""
    assert (await say(world, "GET", f"{BRAND}/retailers?{query}")).status == status
    changes = query if query.startswith("limit=9") else "limit=5"
    expected = 422 if query.startswith("limit=9") else 204
    assert (await say(world, "GET", f"{CONSENTS}/changes?{changes}")).status == expected
