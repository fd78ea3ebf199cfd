"""Judging a detector on labelled media: lists of trials in, scores, figures and plots out. Independent of decoders."""
