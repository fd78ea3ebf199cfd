"""From bytes to verdicts: decoding, storage, cache, admission and the use cases. Knows no torch model and no transport."""
