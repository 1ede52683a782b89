"""Carries one call over HTTP and brings back status and body, or says where the way broke. It logs nothing."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from typing import Any, NamedTuple

import aiohttp
from yarl import URL

from adapters.registry.settings import Patience, base_of, tls_context
from filters.registry.call import MAX_ANSWER_BYTES, Call
from filters.registry.failures import TransportFault, TransportProblem

_BLOCK_BYTES = 1 << 16
_MAX_CONNECTIONS = 16
_IDLE_S = 30.0


class HttpAnswer(NamedTuple):
    """``size_bytes`` counts the body also where it was written elsewhere and ``body`` is empty."""

    status: int
    body: bytes
    size_bytes: int


class HttpTransport:
    """One pool of connections to the registry. Raises ``RegistrySettingsError`` on a base URL or CA file it cannot use.

    No redirects, no cookies, no proxies from the environment, no compression (a small answer stays small), and no
    request is sent twice.
    """

    def __init__(self, base_url: str, *, ca_file: str | None = None, patience: Patience | None = None) -> None:
        self._base = base_of(base_url)
        self._patience = patience or Patience()
        self._tls = tls_context(ca_file) if self._base.startswith("https:") else None
        self._session: aiohttp.ClientSession | None = None
        self._is_closed = False

    async def close(self) -> None:
        """End all connections for good; calls under way end as faults."""
        self._is_closed = True
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def exchange(
        self, call: Call[Any], token: str | None, write: Callable[[bytes], object] | None = None
    ) -> HttpAnswer | TransportFault:
        """Send ``call``, with ``token`` if it has one. With ``write`` the body of a 200 goes there, block by block.

        Raises what ``write`` raises and nothing else.
        """
        if self._is_closed:
            return _fault(TransportProblem.NOT_CONNECTED)
        headers = {"Accept": "*/*", "Accept-Encoding": "identity", "User-Agent": "izinkapi"}
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        if call.body is not None:
            headers["Content-Type"] = "application/json"
        sent = _Sent()
        try:
            async with self._open().request(
                call.method,
                URL(self._base + call.target, encoded=True),
                data=call.body,
                headers=headers,
                allow_redirects=False,
                timeout=self._timeout(call, is_file=write is not None),
                trace_request_ctx=sent,
            ) as answer:
                return await _read(call, answer, write)
        except _WriteFailedError as failed:
            raise failed.reason from None
        except (aiohttp.ClientConnectorCertificateError, aiohttp.ClientSSLError):
            return _fault(TransportProblem.TLS)
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError):
            return _fault(TransportProblem.NOT_CONNECTED)
        except TimeoutError:
            return _fault(TransportProblem.TIMED_OUT, call, sent)
        except ssl.SSLError:
            return _fault(TransportProblem.TLS, call, sent)
        except (aiohttp.ClientError, OSError, ValueError):
            # ValueError: aiohttp raises it for some malformed answers.
            return _fault(TransportProblem.CUT_OFF, call, sent)

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            tracing = aiohttp.TraceConfig()
            tracing.on_request_headers_sent.append(_note_sent)
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(
                    limit=_MAX_CONNECTIONS, keepalive_timeout=_IDLE_S, ssl=self._tls if self._tls is not None else True
                ),
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
                trust_env=False,
                raise_for_status=False,
                trace_configs=[tracing],
            )
            # aiohttp would by itself repeat a GET on a connection the server closed: a request that no limit counted.
            self._session._retry_connection = False
        return self._session

    def _timeout(self, call: Call[Any], *, is_file: bool) -> aiohttp.ClientTimeout:
        answer_s = min(self._patience.answer_s, call.answer_within_s or self._patience.answer_s)
        return aiohttp.ClientTimeout(
            total=self._patience.file_s if is_file else answer_s,
            sock_connect=self._patience.connect_s,
            sock_read=answer_s,
        )


class _Sent:
    """Whether the head of the request has left."""

    has_left = False


class _WriteFailedError(Exception):
    """The caller's ``write`` raised ``reason``."""

    def __init__(self, reason: Exception) -> None:
        super().__init__()
        self.reason = reason


async def _note_sent(session: object, context: Any, parameters: object) -> None:
    context.trace_request_ctx.has_left = True


async def _read(
    call: Call[Any], answer: aiohttp.ClientResponse, write: Callable[[bytes], object] | None
) -> HttpAnswer | TransportFault:
    if answer.headers.get("Content-Encoding", "identity").strip().lower() not in ("", "identity"):
        answer.close()
        if 200 <= answer.status < 300:
            return TransportFault(TransportProblem.ENCODED, not call.is_repeatable)
        return HttpAnswer(answer.status, b"", 0)
    size = 0
    blocks: list[bytes] = []
    is_written = write is not None and answer.status == 200
    keep = write if write is not None and is_written else blocks.append
    bound = call.max_answer_bytes if is_written else min(call.max_answer_bytes, MAX_ANSWER_BYTES)
    async for block in answer.content.iter_chunked(_BLOCK_BYTES):
        size += len(block)
        if size > bound:
            answer.close()
            return TransportFault(TransportProblem.TOO_LARGE, not call.is_repeatable)
        try:
            keep(block)
        except Exception as error:  # the caller's own fault must not look like one of the network
            answer.close()
            raise _WriteFailedError(error) from error
    return HttpAnswer(answer.status, b"".join(blocks), size)


def _fault(problem: TransportProblem, call: Call[Any] | None = None, sent: _Sent | None = None) -> TransportFault:
    may_be_done = call is not None and sent is not None and sent.has_left and not call.is_repeatable
    return TransportFault(problem, may_be_done)
