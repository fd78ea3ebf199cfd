"""From bytes to verdicts: decoding, storage, cache, admission, use cases. Knows no torch model and no transport."""
