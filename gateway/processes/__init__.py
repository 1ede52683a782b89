"""The processes of one machine: a supervisor, its workers, and what runs beside them."""
