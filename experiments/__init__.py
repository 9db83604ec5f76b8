"""Studies: one file a figure, found by listing this folder."""
