"""Asking the registry about those who are being written to now, around the index (design D7).

``requery`` asks whether consents still stand while a brand is stale, ``missing`` about those of whom the index holds
nothing, ``access_lists`` for dealers' lists. ``asking_index`` is what the first two have in common, ``gathering`` one
request shared by many messages, ``budget`` what of the rate they may use, ``remembering`` the addresses behind keys.
"""
