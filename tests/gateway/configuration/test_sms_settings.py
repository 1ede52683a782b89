"""What the configuration says of SMS agrees with what there is."""

from __future__ import annotations

from itertools import combinations

import pytest

from filters.sms.dialect import CallKind
from filters.sms.dialects.collisions import find_collision, known_probes
from filters.sms.dialects.registry import DIALECTS, make_dialect
from filters.sms.http import HttpRequest
from filters.sms.profiles import find_profile
from gateway.configuration.sections.upstreams import SmsDialect


def test_the_configuration_accepts_the_dialects_there_are() -> None:
    assert {str(dialect) for dialect in SmsDialect} == set(DIALECTS)


@pytest.mark.parametrize("name", sorted(DIALECTS))
def test_each_dialect_goes_by_its_name_and_has_its_alphabets(name: str) -> None:
    dialect = make_dialect(name)
    assert dialect.name == name
    assert find_profile(dialect.profile)


@pytest.mark.parametrize("name", sorted(DIALECTS))
def test_each_dialect_knows_one_of_the_paths_by_which_collisions_are_found(name: str) -> None:
    assert known_probes(name)


def test_dialects_that_share_a_path_are_found() -> None:
    """Our own interface and Vonage's newer one both send by POST /v1/messages."""
    shared = {pair for pair in combinations(sorted(DIALECTS), 2) if find_collision(*pair)}
    assert shared == {("plain", "vonage_messages")}


@pytest.mark.parametrize("name", sorted(DIALECTS))
@pytest.mark.parametrize(
    "path", ["/", "/u/token", "/static/style.css", "/v1/check", "/sms/inbound/secret-secret-secret"]
)
def test_no_dialect_sends_by_a_path_of_ours(name: str, path: str) -> None:
    for method in ("GET", "POST"):
        call = make_dialect(name).recognise(HttpRequest(method, path))
        assert call is None or call.kind is not CallKind.SEND
