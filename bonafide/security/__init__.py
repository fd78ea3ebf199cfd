"""Who may call, how often, and over what: API keys, rate limits, TLS, exposed addresses. Imports errors, settings."""
