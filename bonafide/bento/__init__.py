"""Corrections of BentoML 1.4.39 and its uvicorn: environment, batching, listening, TLS, WebSockets, start, shutdown.

Uses internals of both. Each module names the behaviour that it corrects; docs/architecture.md lists them all, with the
test that would fail after an upgrade, or that there is none.
"""
