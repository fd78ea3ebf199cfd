"""Feedback: verdicts are kept by request id for some time, so that the truth can be put beside them."""
