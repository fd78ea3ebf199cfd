"""What is set or corrected in BentoML 1.4.39: environment, batching, shutdown, the client of its runners.

Uses BentoML's internals. Each module names the behaviour it corrects; tests/bonafide/bento and tests/integration
fail when an upgrade changes one of them.
"""
