"""Whatever JSON, path or query arrives, the registry answers with one of its codes and never breaks."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from loadtest.registry.api.call import Answer, Call
from loadtest.registry.api.routes import Route, routes
from loadtest.registry.book.world import DEFAULT_USERNAME
from loadtest.registry.clock import Clock
from loadtest.registry.door.tokens import OAuthError, Session
from loadtest.registry.push import Push
from loadtest.registry.registry import Registry
from loadtest.registry.rules.codes import CODES, RegistryError
from loadtest.registry.rules.dates import parse_instant
from tests.support.registry_world import NOON, item, key, retailer

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**40), 2**40)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20)
    | st.sampled_from(
        ["ONAY", "RET", "BIREYSEL", "EPOSTA", "a@example.com", "+905321234567", "2026-11-18 10:00:00", ""]
    )
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
NAMES = [
    *item(),
    *retailer(),
    "recipients",
    "retailerAccess",
    "retailerCode",
    "connection",
    "agreementStatus",
    "mobile",
]
WORDS = st.text(max_size=40) | st.sampled_from(["BIREYSEL", "EPOSTA", "2026-11-17", "10000001", "abc1"])


@st.composite
def bodies(draw: st.DrawFn) -> Any:
    """Anything, or something nearly right with some fields spoiled, taken away or added."""
    if draw(st.booleans()):
        return draw(VALUES)
    body = dict(draw(st.sampled_from([item(), key(), retailer(), key() | {"recipients": ["a@example.com"]}])))
    for name in draw(st.lists(st.sampled_from(NAMES), max_size=3)):
        body[name] = draw(VALUES)
    return [body] if draw(st.integers(0, 3)) == 0 else body


@pytest.fixture(scope="module")
def registry() -> Iterator[Registry]:
    made = Registry(clock=Clock(float(parse_instant(NOON)), 0.0))
    yield made
    made.close()


@settings(max_examples=200, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_every_call_ends_with_an_answer_or_a_code(registry: Registry, data: st.DataObject) -> None:
    """No exception but the registry's own; every code is of the list, every body can be written as JSON."""
    # Registering dials the receiver, which has its own tests; here nothing leaves the process.
    push = SimpleNamespace(
        register=lambda _call: Answer(204), show=lambda _call: Answer(204), unregister=lambda _call: Answer(204)
    )
    table: list[Route] = [each for each in routes(push) if "push" not in each.name]
    route = data.draw(st.sampled_from(table))
    body = data.draw(bodies())
    parts = {
        name: data.draw(WORDS)
        for name in ("requestId", "recipientType", "type", "reportDate", "retailerCode", "code", "spsCode")
    }
    query = data.draw(
        st.dictionaries(st.sampled_from(["limit", "offset", "after", "source", "all", "short"]), WORDS, max_size=2)
    )
    session = Session(registry.world.users[DEFAULT_USERNAME], frozenset({600123}))
    call = Call(
        registry,
        session,
        "test",
        600123,
        600123,
        parts,
        query,
        json.dumps(body).encode(),
        "",
        route.is_v2,
        registry.settle(),
    )
    answer, refusal = run(route, call)
    if refusal is not None:
        assert all(each["code"] in CODES for each in refusal.entries)
        assert refusal.status >= 400
        json.dumps(refusal.entries)
        return
    assert isinstance(answer, Answer)
    if not isinstance(answer.body, bytes):
        json.dumps(answer.body)


def run(route: Route, call: Call) -> tuple[object, RegistryError | None]:
    """The answer, or the registry's own refusal; any other exception goes on up."""
    try:
        return route.handler(call), None
    except RegistryError as refusal:
        return None, refusal


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=VALUES | st.fixed_dictionaries({"grant_type": VALUES | st.sampled_from(["password", "refresh_token"])}))
def test_every_request_for_a_token_ends_with_an_error_of_oauth(registry: Registry, body: Any) -> None:
    """Nobody gets a token by a strange body."""
    with pytest.raises(OAuthError):
        registry.tokens.answer(body, registry.clock.now())


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    body=st.fixed_dictionaries(
        {"url": VALUES | st.sampled_from(["http://x", "//", "https://[", "ftp://x"]), "type": VALUES}
    )
)
def test_a_strange_connection_is_never_dialled(registry: Registry, body: Any) -> None:
    """Without user and password it ends before the network, whatever the address looks like."""

    async def register() -> None:
        push = Push(registry)
        session = Session(registry.world.users[DEFAULT_USERNAME], frozenset({600123}))
        content = json.dumps({"connection": [body]}).encode()
        call = Call(registry, session, "test", 600123, 600123, {}, {}, content, "", False, registry.settle())
        with pytest.raises(RegistryError):
            await push.register(call)

    asyncio.run(register())
