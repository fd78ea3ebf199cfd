"""From a model reference to probabilities: catalog, labels, engines, detectors. Independent of requests."""
