"""The rows of `benchmarks.compare`, and the table that they make."""
