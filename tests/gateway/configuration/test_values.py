"""Durations, sizes, endpoints, store addresses and secrets."""

from __future__ import annotations

import copy
import json
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.configuration.store_url import StoreKind, StoreUrl
from gateway.configuration.values import (
    MASK,
    Duration,
    Endpoint,
    Secret,
    Size,
    is_loopback_host,
    mask_user_part,
    parse_host,
    parse_network,
)


@pytest.mark.parametrize(
    ("text", "milliseconds"),
    [("200ms", 200), ("90s", 90_000), ("5m", 300_000), ("24h", 86_400_000), ("7d", 604_800_000), ("0s", 0)],
)
def test_a_duration_is_a_number_with_a_unit(text: str, milliseconds: int) -> None:
    assert Duration.parse(text) == Duration(milliseconds)


@pytest.mark.parametrize("text", ["", "5", "5 m", "-5s", "1.5h", "1h30m", "5M", "٥s", "5s ", "9999999999s", "s"])
def test_what_is_not_a_number_with_a_unit_is_no_duration(text: str) -> None:
    with pytest.raises(ValueError):
        Duration.parse(text)


@given(st.integers(0, 10**11))
def test_a_printed_duration_reads_back_the_same(milliseconds: int) -> None:
    """The effective configuration, as printed, is a configuration again."""
    printed = str(Duration(milliseconds))
    if len(printed) <= 9:
        assert Duration.parse(printed) == Duration(milliseconds)


@pytest.mark.parametrize(
    ("text", "in_bytes"),
    [("0 B", 0), ("512B", 512), ("1 kB", 1000), ("64 KiB", 65_536), ("50 MiB", 52_428_800), ("2GB", 2 * 10**9)],
)
def test_a_size_is_a_number_with_a_unit(text: str, in_bytes: int) -> None:
    assert Size.parse(text) == Size(in_bytes)


@pytest.mark.parametrize("text", ["", "64", "64 mb", "64 Mb", "1.5 GB", "-1 B", "64  MiB", "1 TB", "٦٤ MiB"])
def test_what_is_not_a_number_with_a_unit_is_no_size(text: str) -> None:
    with pytest.raises(ValueError):
        Size.parse(text)


@given(st.integers(0, 10**9 - 1), st.sampled_from(["B", "kB", "KiB", "MB", "MiB", "GB", "GiB"]))
def test_a_printed_size_reads_back_the_same(number: int, unit: str) -> None:
    size = Size.parse(f"{number} {unit}")
    try:
        again = Size.parse(str(size))
    except ValueError:
        # Only a number too long for the grammar: never one that the file could hold.
        assert len(str(size).split()[0]) > 9
    else:
        assert again == size


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("127.0.0.1:25", "127.0.0.1", 25),
        ("[::1]:2525", "::1", 2525),
        ("[2001:0DB8:0::1]:25", "2001:db8::1", 25),
        ("Relay.Example.NET:587", "relay.example.net", 587),
        ("localhost:1", "localhost", 1),
        ("mail_relay:65535", "mail_relay", 65535),
    ],
)
def test_an_endpoint_is_a_host_and_a_port(text: str, host: str, port: int) -> None:
    assert Endpoint.parse(text) == Endpoint(host, port)


@pytest.mark.parametrize(
    "text",
    [
        "127.0.0.1",
        "127.0.0.1:",
        ":25",
        "::1:25",
        "[::1]",
        "[127.0.0.1]:25",
        "[::1%eth0]:25",
        "127.0.0.1:0",
        "127.0.0.1:65536",
        "127.0.0.1:025",
        "127.0.0.1:+25",
        "127.0.0.256:25",
        "127.1:25",
        "0x7f.1:25",
        "0x7f000001:25",
        "2130706433:25",
        "-a.example:25",
        "a..example:25",
        "a.example.:25",
        "a/b:25",
        "u@a.example:25",
        "örnek.example:25",
        "a.example:٢٥",
    ],
)
def test_what_could_be_read_in_two_ways_is_no_endpoint(text: str) -> None:
    """Resolvers accept much of this, each in its own way."""
    with pytest.raises(ValueError):
        Endpoint.parse(text)


@given(st.text(max_size=40))
def test_any_text_is_an_endpoint_that_prints_the_same_or_is_refused(text: str) -> None:
    try:
        endpoint = Endpoint.parse(text)
    except ValueError:
        return
    assert Endpoint.parse(str(endpoint)) == endpoint


@pytest.mark.parametrize(
    ("upstream", "listener", "meets"),
    [
        ("127.0.0.1:25", "127.0.0.1:25", True),
        ("127.0.0.1:25", "127.0.0.1:26", False),
        ("localhost:25", "127.0.0.1:25", True),
        ("127.0.0.2:25", "0.0.0.0:25", True),
        ("[::1]:25", "[::]:25", True),
        ("relay.example.net:25", "0.0.0.0:25", False),
        ("192.0.2.1:25", "127.0.0.1:25", False),
    ],
)
def test_an_endpoint_meets_the_listener_it_would_reach(upstream: str, listener: str, meets: bool) -> None:
    assert Endpoint.parse(upstream).meets(Endpoint.parse(listener)) is meets


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "::1", "localhost", "gate.localhost"])
def test_loopback_hosts_never_leave_the_machine(host: str) -> None:
    assert is_loopback_host(host)


@pytest.mark.parametrize("host", ["128.0.0.1", "localhost.example", "::2", "0.0.0.0", "notlocalhost"])
def test_other_hosts_are_not_loopback(host: str) -> None:
    assert not is_loopback_host(host)


def test_a_host_name_is_folded_and_a_number_that_is_no_address_refused() -> None:
    assert parse_host("A.Example") == "a.example"
    with pytest.raises(ValueError):
        parse_host("1.2.3")


def test_a_network_has_no_bits_beyond_its_prefix_and_the_message_says_what_was_meant() -> None:
    assert str(parse_network("10.0.0.0/8")) == "10.0.0.0/8"
    assert str(parse_network("192.0.2.1")) == "192.0.2.1/32"
    with pytest.raises(ValueError, match=r"the network is \"10\.0\.0\.0/8\""):
        parse_network("10.1.2.3/8")


@pytest.mark.parametrize(
    ("text", "kind", "printed"),
    [
        ("lmdb:var/store", StoreKind.LMDB, "lmdb:var/store"),
        ("lmdb:/var/lib/izinkapi/store", StoreKind.LMDB, "lmdb:/var/lib/izinkapi/store"),
        ("redis://127.0.0.1", StoreKind.REDIS, "redis://127.0.0.1:6379"),
        ("redis://[::1]:7000/3", StoreKind.REDIS, "redis://[::1]:7000/3"),
        ("rediss://redis.example.net:6380/0", StoreKind.REDIS, "rediss://redis.example.net:6380"),
        ("redis+sentinel://a.example,b.example:26380/main/2", StoreKind.REDIS_SENTINEL, None),
        ("rediss+cluster://a.example:6379,b.example:6379", StoreKind.REDIS_CLUSTER, None),
    ],
)
def test_a_store_url_names_its_kind_and_prints_the_same(text: str, kind: StoreKind, printed: str | None) -> None:
    url = StoreUrl.parse(text)
    assert url.kind is kind
    assert StoreUrl.parse(str(url)) == url
    if printed is not None:
        assert str(url) == printed


def test_sentinels_have_their_own_default_port() -> None:
    url = StoreUrl.parse("redis+sentinel://a.example,b.example:26380/main/2")
    assert [str(node) for node in url.nodes] == ["a.example:26379", "b.example:26380"]
    assert (url.service, url.database) == ("main", 2)


@given(st.binary(min_size=4, max_size=60))
def test_a_secret_shows_nothing_of_itself(value: bytes) -> None:
    """Neither print, format, repr nor a traceback's locals show it; JSON refuses it."""
    secret = Secret(value)
    for shown in (repr(secret), str(secret), f"{secret}", f"{secret!r}", repr([secret]), repr({"password": secret})):
        assert shown in {MASK, f"Secret({MASK})", f"[Secret({MASK})]", f"{{'password': Secret({MASK})}}"}
    with pytest.raises(TypeError) as raised:
        json.dumps({"password": secret})
    assert repr(value) not in str(raised.value)


def test_a_secret_travels_to_workers_and_compares_by_value() -> None:
    secret = Secret(b"made-up")
    assert pickle.loads(pickle.dumps(secret)) == secret == copy.deepcopy(secret)
    assert secret != Secret(b"other")
    assert secret != b"made-up"
    with pytest.raises(AttributeError):
        secret._value = b"changed"


@given(st.text("abc:/@", max_size=12), st.text("xyz:@", min_size=1, max_size=12))
def test_what_stands_before_the_host_of_a_url_is_not_shown(host: str, user: str) -> None:
    assert "xyz" not in mask_user_part(f"redis://xyz{user}@{host.replace('@', '')}").lower()
