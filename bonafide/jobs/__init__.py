"""Jobs: many stored recordings that are judged behind the calls, with results that survive the process."""
