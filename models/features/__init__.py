"""What audio classifiers on spectrograms are given of a window: transformers' feature extractors, in numpy alone."""
