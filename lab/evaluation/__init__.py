"""Judging a detector on labelled media: lists of trials in, scores, figures and pictures out. Knows no decoder."""
