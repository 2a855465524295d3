"""Contract suites for everybody who writes a part of Palate: inherit one, say how to make yours."""
