"""Consents by hand: bulk import from CSV, one record shown or set, what the index holds.

* ``words``        the registry's words (EPOSTA, BIREYSEL, ONAY …) and ours
* ``csv_file``     a file as lines with their numbers and places
* ``csv_row``      a line as one record, or what is wrong with it
* ``spool``        records on disk, sorted apart by key, before any of them enters the index
* ``checkpoint``   where an import stands, so that it goes on after an interruption
* ``importer``     the whole of it
* ``record``       one recipient's records shown and set
* ``ports``        what all of this asks of the store
"""
