"""Every architecture of the installed transformers: what is proven, and what is not."""
