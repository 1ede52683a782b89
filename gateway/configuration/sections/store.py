"""Where the consent index is kept, and the secrets of this installation."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Annotated

from gateway.configuration import kinds
from gateway.configuration.section import (
    AuthoritiesFile,
    FromEnvironment,
    PrivateKeyFile,
    SecretFile,
    Section,
    YesNo,
    setting,
)
from gateway.configuration.store_url import StoreUrl
from gateway.configuration.values import Duration, Size


def _parse_store_url(raw: object) -> StoreUrl:
    if not isinstance(raw, str):
        raise ValueError("")  # noqa: TRY004 - one error type for every unfit value
    return StoreUrl.parse(raw)


class StoreSection(Section):
    """The store holds our copy of the registry, refusals not yet reported, and the retry memory.

    `lmdb:` is embedded: one machine, nothing to install. Redis serves several machines.
    """

    url: Annotated[
        StoreUrl,
        kinds.Kind(
            "lmdb:PATH, redis://HOST:PORT/DATABASE or rediss://HOST:PORT/DATABASE",
            '"lmdb:var/store"',
            _parse_store_url,
        ),
    ] = setting(
        "lmdb:var/store",
        """Where the store is: a folder on this machine, or a Redis server. A relative path starts at the folder of this
        file. User and password do not stand in it.""",
        example='"rediss://redis.example.net:6379/0"',
        given='"lmdb:var/store"',
    )
    username: Annotated[str, kinds.text(200, "izinkapi")] | None = setting(None, "User of the Redis server (ACL).")
    password: FromEnvironment | None = setting(None, "Password of the Redis server, from the environment.")
    password_file: SecretFile | None = setting(None, "Password of the Redis server, from the first line of a file.")
    verify: YesNo = setting(True, "With rediss://: check the server's certificate and name.")
    ca_file: AuthoritiesFile | None = setting(None, "With rediss://: authorities to trust instead of the system's.")
    lookup_timeout: Annotated[Duration, kinds.duration("10ms", "30s", "1s")] = setting(
        "1s",
        "How long a look-up may take. After it, commercial mail is deferred (451); it is never let through unseen.",
    )
    connections: Annotated[int, kinds.whole(1, 64, 2)] = setting(2, "Redis: connections of a worker for look-ups.")
    state_directory: Annotated[PurePosixPath, kinds.path("the path of a folder", "var/state")] = setting(
        "var/state",
        """What this machine remembers of its store (so that a flushed or rolled-back store is noticed) and its
        journal of refusals. Keep it out of the store's own folder and backup.""",
    )
    journal_days: Annotated[int, kinds.whole(1, 3650, 90)] = setting(
        90, "How long refusals taken here are kept in the journal beside the store."
    )
    map_size: Annotated[Size, kinds.size("64 MiB", "4096 GiB", "64 GiB")] = setting(
        "64 GiB", "LMDB: the most the store may grow to. Address space, not memory or disk taken at once."
    )
    retry_memory_days: Annotated[int, kinds.whole(1, 30, 6)] = setting(
        6,
        """For how many days it is remembered which recipients already have a message, so that a client's retry after a
        partial failure sends only the rest. Longer than the clients' own queue lifetime (five days is usual).""",
    )


class SecretsSection(Section):
    """The installation's own secrets: 32 random bytes each, written as 64 hexadecimal digits.

    What is not named here is created in `directory` at the first start, readable by the owner only. **Back the
    directory up, apart from the store**: without the index secret the store cannot be asked, without the token keys
    the opt-out links in mail already sent stop working. Machines that share one Redis need the same secrets: copy the
    directory to each before its first start.

    Files of keys have one on each line, its id (0 to 255), a space and the key. To rotate on several machines, first
    add the new key everywhere with `current_…` set to the old id, then move that. Old keys stay.
    """

    directory: Annotated[PurePosixPath, kinds.path("the path of a folder", "var/secrets")] = setting(
        "var/secrets", "Where secrets that are not named below are kept, and created when missing."
    )
    index_secret: FromEnvironment | None = setting(None, "Keys the hashes under which recipients are stored.")
    index_secret_file: SecretFile | None = setting(
        None, "The same from a file; left out, index.key in the directory.", example='"secrets/index.key"'
    )
    token_keys: FromEnvironment | None = setting(
        None, "Keys that make opt-out links unforgeable: one a line, an id from 0 to 255 and the key."
    )
    token_keys_file: SecretFile | None = setting(
        None, "The same from a file; left out, token.keys in the directory.", example='"secrets/token.keys"'
    )
    current_token_key: Annotated[int, kinds.whole(0, 255, 1)] | None = setting(
        None, "Id of the key that new links are made with; left out, the highest. All keys verify."
    )
    outbox_keys: FromEnvironment | None = setting(
        None,
        "Keys that seal refusals on their way to the registry: they hold the address, so the store has them encrypted.",
    )
    outbox_keys_file: SecretFile | None = setting(
        None, "The same from a file; left out, outbox.keys in the directory.", example='"secrets/outbox.keys"'
    )
    current_outbox_key: Annotated[int, kinds.whole(0, 255, 1)] | None = setting(
        None, "Id of the key that seals; left out, the highest. All keys open."
    )
    evidence_key_file: PrivateKeyFile | None = setting(
        None,
        "Ed25519 private key (PEM) that signs the evidence; left out, evidence.pem in the directory.",
        example='"secrets/evidence.pem"',
    )
