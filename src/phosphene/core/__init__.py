"""What everyone speaks: events, batches, phases, protocols, configuration, errors, noise."""
