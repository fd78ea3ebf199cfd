"""Between the use cases and the BentoML runners: admission, deadlines, batching, replicas. Independent of media."""
