"""The demo that ships with the package: two pairs of small trained Transformers and the text they were trained on."""
