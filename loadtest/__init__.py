"""Looks from outside: traffic generator, faulty sink, index seeding, side-by-side benchmark. Loopback only."""
