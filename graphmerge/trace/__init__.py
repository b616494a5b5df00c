"""Tracing: a model in, a `Program` of ATen ops out."""
