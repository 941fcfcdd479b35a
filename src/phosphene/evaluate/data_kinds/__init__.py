"""One file a kind of data (:mod:`phosphene.evaluate.data_kind`)."""
