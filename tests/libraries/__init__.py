"""Models of libraries other than transformers."""
