"""Training: from the log to an artefact, and artefacts on disk."""
