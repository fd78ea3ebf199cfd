"""What a log says on a served model and its shadow: lines, figures, tables."""
