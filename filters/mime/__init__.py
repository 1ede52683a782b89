"""Puts the opt-out into a mail by splicing bytes; what it does not change leaves as it came (design D9).

* ``limits``: what is measured before anything is parsed.
* ``headers``: a header block as names and offsets. ``fields``: the few structured values read from it.
* ``structure``: entities and multiparts as offsets, parsed only where the views need it.
* ``views``: which leaves a reader can get to see (content-rules B5, "Which part gets it").
* ``markup``: where in an HTML text the footer is seen. ``charsets``, ``transfer``: how text and footer are written.
* ``footer``: the text itself, rendered once per brand.
* ``plan``: one plan per message; ``head``: its header; ``rewrite_plan``: one cheap ``render`` per recipient.
* ``release``: the checks before release. ``settings``: what a site decides.
* ``plan_memory``: plans of bodies met before, for campaigns that send one body many times.
* ``stamp``: informational mail, where only header fields change.
* ``refusal``: the closed list of why a message cannot carry the opt-out.
"""
