"""The derivation beside the exact count: is any freedom missed, and where."""

from graphmerge.certificate.certify import Certificate, certify
from graphmerge.certificate.locate import Freedom

__all__ = ["Certificate", "Freedom", "certify"]
