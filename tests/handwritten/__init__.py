"""Transformers in the styles that people write by hand: each derived, verified, and counted."""
