"""Loading: what comes out, and that nothing secret ever shows."""

from __future__ import annotations

import dataclasses
import json
import pickle
import tomllib
from collections.abc import Callable
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from filters.brand import Brand
from filters.client import Client
from filters.decision.policy import Policy
from filters.token import MAX_BRAND
from filters.vocabulary import MessageClass, RecipientType
from gateway.configuration import Configuration, ConfigurationError, load_configuration
from gateway.configuration.describe import render_toml
from gateway.configuration.sections.brands import MOST_BRAND_CODE
from gateway.configuration.sections.upstreams import TlsMode
from gateway.configuration.values import MASK, Endpoint
from tests.support.configurations import SMALLEST

WriteFile = Callable[[str, str], Path]
HASH = "$argon2id$v=19$m=65536,t=3,p=4$bWFkZS11cC1zYWx0LTAwMQ$" + 43 * "B"


def load(path: Path, environment: dict[str, str] | None = None) -> Configuration:
    return load_configuration(path, environment or {})


def test_the_smallest_configuration_of_the_design_loads_as_it_stands(smallest: Path) -> None:
    """Its names are what others build on. What the registry's password lacks is said, and stops no mail."""
    configuration = load(smallest)
    assert configuration.brands[0].brand == Brand(
        code=600123,
        iys_code=600123,
        name="Örnek Mağaza",
        title="Örnek Mağaza A.Ş.",
        mersis="0123456789012345",
        opt_out_url="https://izin.example",
    )
    assert configuration.brands[0].sms_opt_out is not None
    assert configuration.brands[0].sms_opt_out.keyword == "RET ORNEK"
    assert configuration.clients[0].client == Client("shop", (600123,))
    assert configuration.clients[0].networks == (ip_network("127.0.0.1/32"),)
    assert configuration.smtp_upstreams[0].addresses == (Endpoint("127.0.0.1", 2526),)
    assert configuration.smtp_upstreams[0].tls is TlsMode.NONE
    assert configuration.smtp_listeners[0].name == "smtp-2525"
    assert configuration.http_listeners[0].sms == ("netgsm",)
    assert configuration.admin == Endpoint("127.0.0.1", 9025)
    assert configuration.registry is not None
    assert configuration.registry.password is None
    assert configuration.store.path == smallest.parent / "var/store"
    assert [warning.path for warning in configuration.warnings] == ["brands[0].contact", "registry.password_file"]


def test_defaults_are_the_strict_reading(smallest: Path) -> None:
    configuration = load(smallest)
    assert configuration.policy == Policy()
    assert configuration.evidence.retention_years == 10
    assert configuration.clients[0].client.default_class is MessageClass.COMMERCIAL
    assert configuration.smtp_listeners[0].fixed_class is None
    assert configuration.tags.recipient_type_words["tacir"] is RecipientType.BUSINESS
    assert configuration.tags.class_words["commercial"] is MessageClass.COMMERCIAL


def test_a_brand_code_fits_into_an_opt_out_token() -> None:
    assert MOST_BRAND_CODE == MAX_BRAND


def test_a_configuration_is_frozen_and_travels_through_a_pipe(smallest: Path, write: WriteFile) -> None:
    path = write(
        "izinkapi.toml", SMALLEST.replace('tls = "none"  ', 'username = "u"\npassword = "env:RELAY"\ntls = "none"  ')
    )
    configuration = load(path, {"RELAY": "made-up"})
    assert configuration.smtp_upstreams[0].password is not None
    assert configuration.smtp_upstreams[0].password.reveal() == b"made-up"
    assert pickle.loads(pickle.dumps(configuration)) == configuration
    with pytest.raises(dataclasses.FrozenInstanceError):
        configuration.workers = 1


def test_what_is_printed_as_effective_loads_again_to_the_same(smallest: Path, write: WriteFile) -> None:
    """``check-config --print`` is a configuration, with every default spelled out."""
    first = load(smallest)
    printed = render_toml(first.describe()).replace("addresses = []\n", "")
    second = load(write("printed.toml", printed))
    assert second.describe() == first.describe()
    assert dataclasses.replace(second, file=first.file, warnings=()) == dataclasses.replace(first, warnings=())
    assert tomllib.loads(printed)["store"]["retry_memory_days"] == 6


def test_relative_paths_start_at_the_folder_of_the_file(smallest: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the working directory, and absolute ones stay."""
    monkeypatch.chdir("/")
    configuration = load(Path(*smallest.parts))
    assert configuration.secrets.index_secret.path == smallest.parent / "var/secrets/index.key"
    assert configuration.evidence.directory == smallest.parent / "var/evidence"
    assert configuration.calendar.holidays_file.is_absolute()
    assert configuration.calendar.holidays_file.is_file()


def test_a_secret_file_gives_its_first_line_and_is_reported_when_others_can_read_it(write: WriteFile) -> None:
    secret = write("relay.password", "made-up päss\r\nsecond line\n")
    secret.chmod(0o644)
    path = write(
        "izinkapi.toml",
        SMALLEST.replace('tls = "none"  ', 'username = "u"\npassword_file = "relay.password"\ntls = "none"  '),
    )
    configuration = load(path)
    assert configuration.smtp_upstreams[0].password is not None
    assert configuration.smtp_upstreams[0].password.reveal_text() == "made-up päss"
    assert any(
        warning.path == "upstreams.smtp[0].password_file" and warning.hint == "chmod 600"
        for warning in configuration.warnings
    )


def test_the_password_of_redis_goes_into_its_url_for_the_adapter_only(write: WriteFile) -> None:
    path = write(
        "izinkapi.toml",
        SMALLEST.replace(
            'url = "lmdb:var/store"  ',
            'url = "rediss://redis.example.net/2"\nusername = "a:b"\npassword = "env:REDIS"\n',
        ),
    )
    store = load(path, {"REDIS": "p@ss/word"}).store
    assert store.connection_url() == "rediss://a%3Ab:p%40ss%2Fword@redis.example.net:6379/2"
    assert "p@ss" not in repr(store)
    assert "p%40ss" not in repr(store)


def test_loopback_needs_no_tls_for_a_password_and_other_addresses_do(write: WriteFile) -> None:
    login = f'username = "shop"\npassword_hash = "{HASH}"\n'
    text = SMALLEST.replace('networks = ["127.0.0.1/32"]', login)
    assert load(write("a.toml", text)).smtp_listeners[0].allows_clear_login
    outside = text.replace('address = "127.0.0.1:2525"', 'address = "192.0.2.1:2525"')
    with pytest.raises(ConfigurationError, match="starttls"):
        load(write("b.toml", outside))
    allowed = outside.replace('upstream = "relay"', 'upstream = "relay"\nauth_without_tls = true')
    assert load(write("c.toml", allowed)).smtp_listeners[0].allows_clear_login
    without_logins = SMALLEST.replace('address = "127.0.0.1:2525"', 'address = "192.0.2.1:2525"')
    assert not load(write("d.toml", without_logins)).smtp_listeners[0].allows_clear_login


def test_a_brand_has_the_common_limits_of_freshness_but_for_its_own(write: WriteFile) -> None:
    text = SMALLEST.replace("iys_code = 600123", 'iys_code = 600123\nfreshness = { stale_after = "6h" }')
    configuration = load(write("izinkapi.toml", text + '\n[freshness]\nblind_after = "48h"\n'))
    policy = configuration.brands[0].policy
    assert (policy.aging_after_s, policy.stale_after_s, policy.blind_after_s) == (7200, 21_600, 172_800)
    assert configuration.policy.stale_after_s == 86_400


def test_a_file_with_windows_line_ends_loads_and_keeps_its_lines(tmp_path: Path) -> None:
    path = tmp_path / "izinkapi.toml"
    path.write_bytes(SMALLEST.replace("\n", "\r\n").encode())
    assert load(path).clients[0].client.name == "shop"
    path.write_bytes(SMALLEST.replace('name = "shop"', 'name = "Shop"').replace("\n", "\r\n").encode())
    with pytest.raises(ConfigurationError) as raised:
        load(path)
    assert raised.value.problems[0].line == SMALLEST.split("\n").index('name = "shop"') + 1


@pytest.mark.parametrize("text", ["a = " + 5000 * "[", "a = " + 3000 * "[" + 3000 * "]", "a." * 5000 + "b = 1"])
def test_deep_nesting_is_a_problem_and_not_a_crash(write: WriteFile, text: str) -> None:
    with pytest.raises(ConfigurationError):
        load(write("izinkapi.toml", text))


def test_a_folder_or_nothing_instead_of_a_file_is_said(tmp_path: Path) -> None:
    for path, reason in ((tmp_path, "it is a folder"), (tmp_path / "nowhere", "there is no such file")):
        with pytest.raises(ConfigurationError) as raised:
            load(path)
        assert raised.value.problems[0].found == reason


def test_problems_travel_with_their_error(smallest: Path) -> None:
    smallest.write_text("x = 1", encoding="utf-8")
    with pytest.raises(ConfigurationError) as raised:
        load(smallest)
    assert pickle.loads(pickle.dumps(raised.value)).problems == raised.value.problems


# -- secrets ------------------------------------------------------------------------------------------------------

WITH_SECRETS = (
    SMALLEST.replace('url = "lmdb:var/store" ', 'url = "redis://127.0.0.1:6379/0"\npassword_file = "a"\n#')
    .replace('tls = "none"  ', 'username = "u"\npassword = "env:RELAY"\ntls = "none"  ')
    .replace('default_class = "commercial"', f'username = "shop"\npassword_hash = "{HASH}"')
    .replace('password_file = "…"', 'password_file = "b"')
    + '\n[secrets]\nindex_secret = "env:INDEX"\n'
)

passwords = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=9, max_size=30)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40, deadline=None)
@given(relay=passwords, store=passwords, registry=passwords, index=passwords)
def test_no_secret_is_in_anything_that_is_printed(
    write: WriteFile, relay: str, store: str, registry: str, index: str
) -> None:
    """repr, str, dict, JSON dump and printed TOML of a configuration show none, whatever it is."""
    relay, store, registry, index = (f"~{secret}~" for secret in (relay, store, registry, index))
    write("a", store)
    write("b", registry)
    configuration = load(write("izinkapi.toml", WITH_SECRETS), {"RELAY": relay, "INDEX": index})
    shown = "\n".join(
        (
            repr(configuration),
            str(configuration),
            repr(dataclasses.asdict(configuration)),
            json.dumps(configuration.describe(), ensure_ascii=False),
            json.dumps(configuration.describe()),
            render_toml(configuration.describe()),
            *map(str, configuration.warnings),
        )
    ).replace(str(configuration.file.parent), "")
    for secret in (relay, store, registry, index, HASH.rpartition("$")[2]):
        assert secret not in shown
        assert json.dumps(secret)[1:-1] not in shown
    assert MASK in shown


secret_places = st.sampled_from(
    [
        ('tls = "none"  ', 'password = {}\ntls = "none"  '),
        ('tls = "none"  ', 'pasword = {}\ntls = "none"  '),
        ('tls = "none"  ', 'password = [{}]\ntls = "none"  '),
        ('tls = "none"  ', 'password = {{ a = {} }}\ntls = "none"  '),
        ('default_class = "commercial"', "password_hash = {}"),
        ('default_class = "commercial"', "password = {}"),
        ('password_file = "…"', "password = {}"),
        ('password_file = "…"', "passwort = {}"),
        ("[store]", "password = {}\n[store]"),
        ("[store]", "registry_ = {}\n[store]"),
    ]
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)
@given(place=secret_places, secret=passwords, suffix=st.sampled_from(["", "\n"]))
def test_a_secret_in_the_wrong_place_is_refused_without_repeating_it(
    write: WriteFile, place: tuple[str, str], secret: str, suffix: str
) -> None:
    """Error messages end up in tickets and logs."""
    secret += "~secret~"
    old, new = place
    text = SMALLEST.replace(old, new.format(json.dumps(secret + suffix)), 1)
    with pytest.raises(ConfigurationError) as raised:
        load(write("izinkapi.toml", text))
    said = str(raised.value) + repr(raised.value) + json.dumps([problem.as_dict() for problem in raised.value.problems])
    assert secret not in said
    assert "~secret~" not in said


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40, deadline=None)
@given(secret=st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=9, max_size=20))
def test_a_password_in_a_store_url_is_refused_without_repeating_it(write: WriteFile, secret: str) -> None:
    secret = f"~{secret}~"
    text = SMALLEST.replace("lmdb:var/store", f"redis://user:{secret}@127.0.0.1:6379/0", 1)
    with pytest.raises(ConfigurationError) as raised:
        load(write("izinkapi.toml", text))
    assert secret not in str(raised.value)


toml_values: st.SearchStrategy[Any] = st.sampled_from(
    ["1", "-1", "true", '""', '"x"', "[]", "{}", "[[]]", "[{}]", "2026-11-21", "1.5", "nan", '"env:X"', '["a", 1]']
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150, deadline=None)
@given(data=st.data())
def test_any_value_in_any_place_loads_or_is_explained(write: WriteFile, data: st.DataObject) -> None:
    """No mistake in a file is answered with a traceback, and each problem has its place and both halves."""
    lines = [line for line in SMALLEST.split("\n") if " = " in line]
    line = data.draw(st.sampled_from(lines))
    name = line.split(" = ")[0]
    text = SMALLEST.replace(line, f"{name} = {data.draw(toml_values)}", 1)
    header = data.draw(st.sampled_from(["", "[x]", "[brands]", "[[store]]", "upstreams = 1", "[listeners]\nsmtp = 1"]))
    text = f"{header}\n{text}" if header.startswith("upstreams") else f"{text}\n{header}\n"
    try:
        load(write("izinkapi.toml", text))
    except ConfigurationError as error:
        problems = error.problems
    else:
        return
    assert problems
    assert all(problem.expected and problem.found and problem.file for problem in problems)
