"""What talks: one neighbour each.

* ``store``     the consent index, embedded (LMDB) or shared (Redis)
* ``smtp``      the upstream relay: a pure client dialogue and the pool that drives it
* ``registry``  the consent registry (İYS): every documented call, one token for all, never over its limits
* ``sms``       providers' interfaces over HTTP: a bounded pool that asks once
* ``evidence``  segment files, group commit, sealing, search
"""
