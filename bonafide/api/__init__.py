"""The transports: each module translates one of them to the use cases and back, without logic of its own."""
