"""One file a section of a report, or a few that belong together."""
