"""The national registry (İYS) as pure code: its words, calls, answers, errors and limits; no socket, no clock.

* ``words``           the registry's words and times, and ours
* ``values``          what is said to it and what it answers
* ``writing``         strict: nothing unknown is sent; ``reading`` tolerant: unknown fields and words never raise
* ``call``            one call as a value; ``calls`` makes every documented one
* ``failures``        why a call brought no answer; ``error_codes`` what each H code means and what to do
* ``limits``          ten a second and the hourly figures, with the time as argument, and who goes first
* ``token_state``     the life of the token all users of one account share
* ``daily_file``      the daily file, line by line, and its hash
"""
