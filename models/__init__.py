"""From a model reference to probabilities: catalog, labels, engines, detectors. Knows torch, nothing of requests."""
