"""Evidence: a signed record of each verdict, kept in a log whose records are chained by hash."""
