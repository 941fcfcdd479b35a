"""What all packages share: events, batches, phases, protocols, configuration, errors, noise."""
