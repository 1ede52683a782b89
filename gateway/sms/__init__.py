"""SMS on its way through the gate: HTTP front, pipeline, reports, checks without sending, refusals by SMS."""
