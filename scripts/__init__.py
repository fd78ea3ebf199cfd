"""Commands of the checkout: the demonstration, and code that tests and benchmarks share with it."""
