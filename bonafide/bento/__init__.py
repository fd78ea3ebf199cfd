"""Corrections of BentoML 1.4.40 and its uvicorn, and the client of BentoML's runners (`remote`).

Uses internals of both. Each module names the behaviour that it corrects; docs/architecture.md lists them all, with the
test that would fail after an upgrade, or that there is none.
"""
