"""Between the use cases and the BentoML runners: admission, deadlines, batching, replicas. Knows nothing of media."""
