"""Second models that score what was answered, for metrics and the log: after the answer, and never part of one."""
