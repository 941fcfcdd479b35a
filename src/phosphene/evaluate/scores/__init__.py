"""One file a metric, or a few that belong together (:mod:`phosphene.evaluate.scorer`)."""
