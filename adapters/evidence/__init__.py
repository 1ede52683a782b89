"""Evidence on disk: who writes it, seals it, searches it.

* ``files``     where segments, heads, keys and locks lie, and how they are named
* ``signing``   the Ed25519 keys behind signed heads
* ``writer``    group commit into segment files, one writer per worker process
* ``sealing``   closed segments to compressed originals and Parquet indexes; retention
* ``search``    find by recipient or message, verify, export
"""
