"""The study's experiments as files, the small models they run on here, and the report of what came out."""
