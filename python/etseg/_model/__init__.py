"""From what a caller calls a model to a session: spec, metadata, catalogue, files, session."""
