"""Talks to SMS providers over HTTP: a bounded pool, a pace, a breaker; each request asked once."""
