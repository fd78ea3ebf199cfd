"""Live voice sessions, from a message to a verdict. `session` is the core; the transports are in `api`."""
