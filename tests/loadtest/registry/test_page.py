"""The page on which a person plays the citizen: plain forms, two languages, nothing from elsewhere."""

from __future__ import annotations

import re
from urllib.parse import urlencode

import pytest

from loadtest.registry.page.sentences import SENTENCES
from tests.support.registry_world import CONSENTS, RegistryWorld, item, key

FORM = {"Content-Type": "application/x-www-form-urlencoded"}


async def show(world: RegistryWorld, **query: str) -> str:
    reply = await world.call("GET", "/?" + urlencode(query))
    assert reply.status == 200
    return str(reply.body.decode())


async def press(world: RegistryWorld, origin: str | None = None, **form: str) -> tuple[int, str]:
    fields = key() | {"brand": "600123", "source": "IYS_WEB", "status": "RET"} | form
    headers = FORM | ({} if origin is None else {"Origin": origin})
    reply = await world.call("POST", "/?lang=en", urlencode(fields).encode(), headers=headers)
    return reply.status, "" if isinstance(reply.body, dict) else reply.body.decode()


async def test_a_refusal_pressed_on_the_page_is_a_citizens_movement(world: RegistryWorld) -> None:
    """The button goes back to the page, which shows the new state and the movement."""
    await world.call("POST", CONSENTS, item())
    before = await show(world, recipient="AYSE@example.com", lang="en")
    assert 'value="RET"' in before
    assert "HS_WEB · 2026-11-18 10:00:00" in before
    status, page = await press(world)
    assert (status, "Stored." in page) == (200, True)
    assert 'class="status RET"' in page
    shown = (await world.call("POST", CONSENTS + "/status", key())).body
    assert (shown["status"], shown["source"]) == ("RET", "IYS_WEB")
    _, again = await press(world)
    assert SENTENCES["en"]["unchanged"] in again
    _, never = await press(world, recipient="nobody@example.com")
    assert SENTENCES["en"]["nothing-to-refuse"] in never


async def test_a_phone_has_two_channels_and_a_newly_added_brand_a_name(world: RegistryWorld) -> None:
    """SMS and calls, each for individual and merchant; the name goes into the feed."""
    page = await show(world, recipient="+905321234567")
    assert re.findall(r"<h2>(.+?) · (.+?)\n", page) == [
        ("SMS", "Bireysel"),
        ("SMS", "Tacir"),
        ("Arama", "Bireysel"),
        ("Arama", "Tacir"),
    ]
    await press(world, recipient="+905321234567", type="MESAJ", status="ONAY", citizen="A. Örnek")
    await world.advance(3600)
    (movement,) = (await world.call("GET", CONSENTS + "/changes")).body["list"]
    assert (movement["source"], movement["citizenName"]) == ("IYS_WEB_YENI", "A. Örnek")


@pytest.mark.parametrize("language", ["tr", "en"])
async def test_both_languages_say_everything(world: RegistryWorld, language: str) -> None:
    """No sentence is missing in one of them, and the page names its language."""
    assert SENTENCES["tr"].keys() == SENTENCES["en"].keys()
    page = await show(world, lang=language)
    assert f'<html lang="{language}">' in page
    assert SENTENCES[language]["intro"] in page
    problem = await show(world, lang=language, recipient="nonsense")
    assert SENTENCES[language]["not-an-address"].replace("'", "&#39;") in problem


async def test_what_people_type_is_text(world: RegistryWorld) -> None:
    """No script, no markup from a query or a name, and nothing loaded from elsewhere."""
    page = await show(world, recipient='"><script>alert(1)</script>', lang="en")
    await press(world, status="ONAY", citizen="<b>x</b>")
    after = await show(world, recipient="ayse@example.com")
    assert "<script" not in page + after
    assert "&lt;b&gt;x&lt;/b&gt;" in after
    assert set(re.findall(r'(?:src|href|action)="([^"]*)"', page)) <= {"data:,", "/style.css", "/?lang=en"} | set(
        re.findall(r'href="(/\?[^"]*)"', page)
    )


async def test_another_sites_form_is_refused(world: RegistryWorld) -> None:
    """A POST whose Origin is not the page's own changes nothing; nor does a form with unknown words."""
    await world.call("POST", CONSENTS, item())
    assert (await press(world, origin="https://evil.example"))[0] == 403
    assert (await press(world, source="HS_WEB"))[0] == 400
    assert (await press(world, type="FAX"))[0] == 400
    assert (await world.call("POST", CONSENTS + "/status", key())).body["status"] == "ONAY"
    assert (await press(world, origin=world.server.url))[0] == 200
