"""Which store a URL names, and the sentence for one that names none."""

from __future__ import annotations

from pathlib import Path

import pytest

from adapters.store import StoreConfigurationError, open_store
from adapters.store.url import LmdbPlace, RedisPlace, parse_store_url

BASE = Path("/srv/izinkapi")


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("lmdb:var/store", LmdbPlace(BASE / "var/store")),
        ("lmdb:/data/store", LmdbPlace(Path("/data/store"))),
        ("redis://redis.example.net", RedisPlace("redis.example.net", 6379, 0, "", "", False)),
        ("redis://127.0.0.1:7000/3", RedisPlace("127.0.0.1", 7000, 3, "", "", False)),
        (
            "rediss://gate:p%40ss@redis.example.net:6380/0",
            RedisPlace("redis.example.net", 6380, 0, "gate", "p@ss", True),
        ),
        ("redis://:secret@[::1]:6379", RedisPlace("::1", 6379, 0, "", "secret", False)),
    ],
)
def test_a_url_names_one_place(url: str, place: LmdbPlace | RedisPlace) -> None:
    """Relative folders start at the base directory; what is left out has Redis's own default."""
    assert parse_store_url(url, BASE) == place


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("", "found no scheme"),
        ("var/store", "found no scheme"),
        ("lmdb:", "expected a directory after lmdb:"),
        ("mysql://db.example", "found the scheme 'mysql'"),
        ("redis://", "found no host"),
        ("redis://host.example:port/0", "found a host or port that cannot be read"),
        ("redis://host.example:99999/0", "found a host or port that cannot be read"),
        ("redis://host.example/zero", "expected a number as Redis database, found 'zero'"),
        ("redis://host.example/0?db=1", "found something after a question mark"),
        ("redis+sentinel://host.example:26379/main", "redis+sentinel:// is not supported yet"),
        ("redis+cluster://host.example:7000", "redis+cluster:// is not supported yet"),
    ],
)
def test_any_other_url_is_refused_with_what_was_expected(url: str, sentence: str) -> None:
    """A configuration error, so that it is found before the first message."""
    with pytest.raises(StoreConfigurationError) as refused:
        parse_store_url(url, BASE)
    assert sentence in str(refused.value)


def test_a_password_is_in_no_message() -> None:
    """Neither in the place as printed, nor in the refusal of a URL that holds one."""
    assert "battery" not in repr(parse_store_url("redis://gate:battery@redis.example.net/0", BASE))
    for url in ("redis://gate:battery@redis.example.net:x/0", "redis://gate:battery@redis.example.net/y?z"):
        with pytest.raises(StoreConfigurationError) as refused:
            parse_store_url(url, BASE)
        assert "battery" not in str(refused.value)


def test_a_store_that_cannot_be_opened_says_where(tmp_path: Path) -> None:
    """A file in the place of the folder, and a state directory that is one."""
    (tmp_path / "file").write_text("x")
    with pytest.raises(StoreConfigurationError, match="store in"):
        open_store("lmdb:file", state_directory=tmp_path / "s", secret_fingerprint=bytes(8), base_directory=tmp_path)
    with pytest.raises(OSError, match="store memory in"):
        open_store(
            "lmdb:store", state_directory=tmp_path / "file", secret_fingerprint=bytes(8), base_directory=tmp_path
        )
