"""Every documented call of the registry, each one function that makes a ``Call``.

* ``token``           log in, refresh
* ``account``         brands, partners' brands, subscription, cities and towns
* ``consents``        single and bulk add (v1, v2), bulk result
* ``statuses``        single and multi status, history, changes
* ``push``            register, list, unregister; opt-out links of the registry
* ``reconciliation``  summary, state of the daily file, agreeing, the file, its time stamp
* ``retailers``       dealers, and their access to consents
"""
