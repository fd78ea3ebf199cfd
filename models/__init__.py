"""From a model reference to probabilities: catalog, labels, engines, two detectors. Knows torch, knows nothing of requests."""
