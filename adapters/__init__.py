"""What talks: one neighbour each.

* ``store``     the consent index, embedded (LMDB) or shared (Redis)
* ``smtp``      the upstream relay: a pure client dialogue and the pool that drives it
* ``evidence``  segment files, group commit, sealing, search
"""
