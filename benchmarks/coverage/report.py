"""docs/coverage.md from the rows of a sweep."""

from __future__ import annotations

import platform
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, Final

import torch
import transformers

STATUSES: Final = ("proven", "sound", "unsound", "refused", "crashed", "not constructible")
# What a head is about, by its name; the first that fits.
FIELDS: Final = (
    ("speech and audio", ("ctc", "speech", "audio", "waveform", "spectrogram", "rnnt", "tdt")),
    ("vision", ("image", "object", "depth", "segmentation", "keypoint", "mask-generation", "video", "pose", "normal",
                "pointmap", "backbone", "text-recognition", "table-recognition")),
    ("series", ("time-series", "decision")),
)  # fmt: skip
PARTS: Final = (
    ("speech and audio", ("audio", "speech", "vocoder", "hifigan", "codec")),
    ("vision", ("vision", "image", "video", "vit", "mask", "prompt", "vqgan", "sam")),
    ("text", ("text", "language", "qformer", "decoder", "encoder")),
)
MIXED: Final = ("image-text", "multimodal", "visual-question", "document-question", "zero-shot", "retrieval")

Row = dict[str, Any]


def field_of(row: Row, kinds: dict[str, set[str]]) -> str:
    """Text, vision, text and vision, speech and audio, series: by the heads of a model type together."""
    heads = kinds[row["model_type"]]
    if any(word in head for head in heads for word in MIXED):
        return "text and vision"
    for name, words in FIELDS:
        if any(word in head for head in heads for word in words):
            return name
    if heads <= {"base", "image", "part"}:  # parts of models: by what they are called
        return next((field for field, words in PARTS if any(w in row["model_type"].lower() for w in words)), "other")
    return "text"


def report(rows: Sequence[Row], cases: int) -> str:
    """The page: totals, then every case that is not proven with its reason, then every case.

    ``cases`` is how many there are; where the sweep has not got to all of them, the page says so.
    """
    rows = sorted(rows, key=lambda r: (r["model_type"], r["model_class"]))
    kinds: dict[str, set[str]] = {}
    for row in rows:
        kinds.setdefault(row["model_type"], set()).update(row["heads"])
    fields = {r["model_type"]: field_of(r, kinds) for r in rows}
    return "\n".join([*_head(rows, cases), *_totals(rows, fields), *_reasons(rows), *_table(rows, fields), ""])


def _head(rows: Sequence[Row], cases: int) -> list[str]:
    seconds = sum(r["seconds"].get("all", 0.0) for r in rows)
    rest = cases - len(rows)
    left = f" **{rest} of them were not examined yet**; rows of interrupted runs are kept, also of earlier revisions."
    left = left if rest else ""
    return [
        "# Coverage",
        "",
        f"Every model type of transformers {transformers.__version__} times its heads: {cases} cases.{left} "
        f"Each is shrunk to a tiny model of the same architecture (`graphmerge/shrink`), its groups are derived, "
        f"verified on random elements in float64, and counted exactly (`gm.certify`). Made by "
        f"`python -m benchmarks.coverage`, in {seconds / 60:.0f} minutes of process time, with torch "
        f"{torch.__version__.split('+')[0]} on Python {platform.python_version()}.",
        "",
        "- **proven**: no random element changes an output by more than 1e-9, and the derived log-order equals the "
        "exact number of automorphisms of the scalar graph: no permutation was missed.",
        "- **sound**: verified, but freedom was missed, or there is no exact count; the reason says which.",
        "- **unsound**: the verification or the count contradicts the derivation.",
        "- **refused**: a clear message instead of groups. **crashed**: an error of ours, or out of time.",
        "- **not constructible**: no tiny model of it runs here; the text is what was raised.",
        "",
    ]


def _totals(rows: Sequence[Row], fields: dict[str, str]) -> list[str]:
    lines = ["## Totals", "", "| | cases | " + " | ".join(STATUSES) + " | proven of the constructible |"]
    lines.append("| --- " * (len(STATUSES) + 3) + "|")
    names = sorted(set(fields.values()))
    for name in [*names, "all"]:
        mine = [r for r in rows if name in ("all", fields[r["model_type"]])]
        counts = Counter(r["status"] for r in mine)
        built = len(mine) - counts["not constructible"]
        share = f"{100 * counts['proven'] / built:.1f} %" if built else "–"
        lines.append(f"| {name} | {len(mine)} | " + " | ".join(str(counts[s]) for s in STATUSES) + f" | {share} |")
    return [*lines, "", *_transformers(rows, fields), ""]


def _transformers(rows: Sequence[Row], fields: dict[str, str]) -> list[str]:
    """The share that is proven of the text and vision models that have attention, where every row says whether.

    Those that did not get so far as to be traced count as if they had.
    """
    wanted = [r for r in rows if fields[r["model_type"]] in ("text", "vision", "text and vision")]
    if any(r["status"] in ("proven", "sound") and r.get("attends") is None for r in wanted):
        return []
    attending = [r for r in wanted if r.get("attends") is not False and r["status"] != "not constructible"]
    if not attending:
        return []
    counts = Counter(r["status"] for r in attending)
    return [
        f"Of the {len(attending)} constructible cases of text and vision that have attention (a softmax), "
        f"{counts['proven']} are proven: {100 * counts['proven'] / len(attending):.1f} %."
    ]


def _reasons(rows: Sequence[Row]) -> list[str]:
    lines = ["## Not proven, and why", ""]
    for status in STATUSES[1:]:
        found = [r for r in rows if r["status"] == status]
        if not found:
            continue
        lines += [f"### {status} ({len(found)})", "", "| model type | class | reason |", "| --- | --- | --- |"]
        lines += [f"| {r['model_type']} | {r['model_class']} | {_why(r)} |" for r in found]
        lines.append("")
    return lines


def _why(row: Row) -> str:
    parts = [row["why"]]
    if row["missed"]:
        parts.append(f"left free: {_some(row['missed'])}")
    if row["unknown"]:
        parts.append(f"ops without a rule: {_some(row['unknown'])}")
    return " ".join("; ".join(p for p in parts if p).replace("|", "\\|").split())


def _some(items: Iterable[str], most: int = 3) -> str:
    listed = [*items]
    return ", ".join(listed[:most]) + (f" and {len(listed) - most} more" if len(listed) > most else "")


def _table(rows: Sequence[Row], fields: dict[str, str]) -> list[str]:
    lines = ["## Every case", "", "| model type | class | of | status | groups | ln of the order | nodes | seconds |"]
    lines.append("| --- " * 8 + "|")
    for r in rows:
        figures = ("", "", "")
        if r["status"] in ("proven", "sound", "unsound"):
            figures = (str(r["groups"]), f"{r['log_order']:.3f}", str(r["nodes"]))
        seconds = f"{r['seconds']['all']:.1f}" if "all" in r["seconds"] else ""
        cells = (r["model_type"], r["model_class"], fields[r["model_type"]], r["status"], *figures, seconds)
        lines.append("| " + " | ".join(cells) + " |")
    return lines
