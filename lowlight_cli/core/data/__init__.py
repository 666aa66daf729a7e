"""Pairs of a dark and a well-lit picture: where they come from, which of them are sound, and how they are made."""
