"""Commands of the checkout: the demonstration, and what tests and benchmarks share with it."""
