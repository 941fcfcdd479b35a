"""Mathematics behind the course."""
