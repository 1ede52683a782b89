"""The consent registry (İYS) in a box: a second implementation of its REST API, for tests and for developing without
a contract. Loopback only; nothing in it is a real person's.

A call comes in at ``server``, passes ``door`` (faults by switch, rate limits, tokens, the log of calls), is answered
by a handler of ``api``, which asks ``rules`` (pure: fields, dates, addresses, the state table, all H codes) and
``book`` (what is stored, in one SQLite file or in memory). ``page`` is for a person who plays the citizen. All times
come from ``clock``, which tests move. ``control`` is what the real registry does not have: everything under ``/_sim``.

What the public description leaves open is decided once and said where it is decided; ``settings`` has the switches.
"""
