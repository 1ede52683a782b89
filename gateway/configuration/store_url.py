"""Where the consent index is kept.

Grammar, after which no later code looks at the text again::

    lmdb:PATH                                       a folder on this machine
    redis://HOST[:PORT][/DATABASE]                  one Redis; rediss:// with TLS, in all three forms
    redis+sentinel://HOST[:PORT],…/SERVICE[/DATABASE]
    redis+cluster://HOST[:PORT],…

A user or password does not stand in it: ``store.username`` and ``store.password_file`` are for that.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from pathlib import PurePosixPath

from gateway.configuration.values import Endpoint

_REDIS_PORT = 6379
_SENTINEL_PORT = 26379
_REDIS = re.compile(r"(redis|rediss)(\+sentinel|\+cluster)?://([^/?#]*)(/[^?#]*)?", re.ASCII)


class StoreKind(StrEnum):
    LMDB = "lmdb"
    REDIS = "redis"
    REDIS_SENTINEL = "redis+sentinel"
    REDIS_CLUSTER = "redis+cluster"


@dataclass(frozen=True, slots=True)
class StoreUrl:
    """``path`` is set for LMDB, ``nodes`` for Redis; ``service`` is Sentinel's name of the master."""

    kind: StoreKind
    path: PurePosixPath | None = None
    nodes: tuple[Endpoint, ...] = ()
    is_tls: bool = False
    service: str = ""
    database: int = 0

    @classmethod
    def parse(cls, text: str) -> StoreUrl:
        if text.startswith("lmdb:"):
            folder = text.removeprefix("lmdb:")
            if not folder or "\0" in folder or folder.startswith("//"):
                raise ValueError("lmdb: is followed by the path of a folder")
            return cls(StoreKind.LMDB, path=PurePosixPath(folder))
        match = _REDIS.fullmatch(text)
        if match is None:
            raise ValueError("it has a query or a fragment" if text.startswith("redis") and "://" in text else "")
        hosts, path = match[3], (match[4] or "")[1:]
        if "@" in hosts:
            raise ValueError("user and password go to store.username and store.password_file")
        kind = StoreKind("redis" + (match[2] or ""))
        nodes = _parse_nodes(hosts, _SENTINEL_PORT if kind is StoreKind.REDIS_SENTINEL else _REDIS_PORT)
        service = ""
        if kind is StoreKind.REDIS_SENTINEL:
            service, _, path = path.partition("/")
            if not re.fullmatch(r"[A-Za-z0-9._-]+", service):
                raise ValueError("the name of the master follows the hosts: redis+sentinel://HOST:26379/NAME")
        elif kind is StoreKind.REDIS and len(nodes) > 1:
            raise ValueError("several hosts need redis+sentinel:// or redis+cluster://")
        if kind is StoreKind.REDIS_CLUSTER and path:
            raise ValueError("a cluster has no numbered databases")
        if path and not re.fullmatch(r"[0-9]{1,4}", path):
            raise ValueError("what follows the host is the number of a database")
        return cls(kind, nodes=nodes, is_tls=match[1] == "rediss", service=service, database=int(path or 0))

    @property
    def is_shared(self) -> bool:
        """Whether several machines may use this store."""
        return self.kind is not StoreKind.LMDB

    def __str__(self) -> str:
        if self.path is not None:
            return f"lmdb:{self.path}"
        parts = [
            ",".join(map(str, self.nodes)),
            *([self.service] if self.service else []),
            *([str(self.database)] if self.database else []),
        ]
        return self.kind.replace("redis", "rediss" if self.is_tls else "redis", 1) + "://" + "/".join(parts)


def _parse_nodes(hosts: str, default_port: int) -> tuple[Endpoint, ...]:
    nodes = []
    for host in hosts.split(","):
        has_port = ":" in host.rpartition("]")[2]
        nodes.append(Endpoint.parse(host if has_port else f"{host}:{default_port}"))
    return tuple(nodes)
