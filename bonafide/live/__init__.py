"""Live voices, from a message to a verdict. `streaming` is their core, and their transports are in `api`."""
