"""What BentoML 1.4.39 has to be told before it serves us well: environment, batching, shutdown.

Knows BentoML's internals. Each module names the behaviour it corrects; tests/bonafide/bento and tests/integration
fail when an upgrade changes one of them.
"""
