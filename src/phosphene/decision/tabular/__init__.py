"""Learning values in tables, from experience alone."""
