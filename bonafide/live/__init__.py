"""Live voices, from a message to a verdict. `session` is their core, and their transports are in `api`."""
