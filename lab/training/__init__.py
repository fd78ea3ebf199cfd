"""How the bundled models were made: fetch, build, train, measure. Nothing here runs in the service."""
