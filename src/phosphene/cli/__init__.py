"""The command line: one file a command. Listing and help import no torch."""
