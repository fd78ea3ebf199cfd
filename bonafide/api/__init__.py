"""The edges: each module translates one transport to the use cases and back, and decides nothing."""
