"""Windows and scores by content id, and call verdicts by id: in Redis or in memory."""
