"""How clients reach us with mail: SMTP submission and LMTP.

Six nouns carry it:

* ``settings``      what one listener may do and how much of anything it allows
* ``dialogue``      the conversation: bytes in, replies and at most one *effect* out; no socket, no clock
* ``session``       one connection: feeds the dialogue from ``data_received`` and carries its effects out
* ``listener``      a listening socket, its sessions, their common timer, drain
* ``extensions``    what is announced at EHLO: never more than the next hop has
* ``memory_budget`` how many bytes of mail all sessions of the worker may hold together

Beside them: ``replies`` (every sentence we say ourselves), ``parameters`` (ESMTP parameters of MAIL and RCPT),
``end_of_data`` (where the content ends, and what is wrong with it), ``authentication`` (AUTH PLAIN and LOGIN),
``welcome`` (PROXY header and implicit TLS, before a session begins), ``proxy_protocol`` (who the client is behind a
load balancer), ``effects`` (what the dialogue asks of the world).

**Why no SMTP library here.** The dialogue takes the rare commands too, instead of handing them to ``aiosmtpd``, which
stays for the low-volume intake of ``mailto:`` refusals. Two processor cores, uvloop, 4 kB, one recipient, before the
pipeline of ours is added: the same hot commands inside an ``aiosmtpd`` subclass reached 17,157 messages a second at
40 µs with sessions kept open, a bare protocol 17,728 at 36 µs; with one message a connection 7,550 at 96 µs against
8,829 at 72 µs, because constructing the library's session object is dear. The gain in speed is small for long
sessions. What decided is risk: the subclass leans on private members (its state tables, its TLS hand-over, its reader),
whose change would show in production rather than at import; two state machines would share one connection, and the
seam between them (who owns the buffered bytes at STARTTLS, AUTH, PROXY) is exactly where commands get injected. The
rare commands cost some three hundred lines here, all of them pure and tested as conversations.

**What a listener promises.** Content ends at CRLF "." CRLF and nowhere else; content with a bare CR, a bare LF or a NUL
is refused after that true end, and nothing of it reaches the handler or is read as a command. An unknown client is
refused. A fault of ours is a temporary reply without the fault's text. Nothing a client sends grows without a limit.
No address is ever logged.
"""
