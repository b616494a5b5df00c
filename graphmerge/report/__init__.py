"""Results as tables, text and JSON; nothing here prints."""

from graphmerge.report.barriers import (
    BarrierRow,
    barrier_data,
    barrier_rows,
    barrier_table,
    metric_table,
    sweep_data,
    sweep_table,
)
from graphmerge.report.certificate import MissedRow, certificate_data, certificate_report, missed_rows
from graphmerge.report.comparison import comparison_data, comparison_report
from graphmerge.report.kinds import KindRow, kind_rows
from graphmerge.report.recipe import PlanRow, RecipeReport, plan_data, plan_report, recipe_data, recipe_report
from graphmerge.report.render import to_json, to_text
from graphmerge.report.symmetry import GroupRow, PinRow, group_rows, pin_rows, symmetry_data, symmetry_report
from graphmerge.report.verification import (
    VerificationRow,
    verification_data,
    verification_report,
    verification_rows,
)

__all__ = [
    "BarrierRow",
    "GroupRow",
    "KindRow",
    "MissedRow",
    "PinRow",
    "PlanRow",
    "RecipeReport",
    "VerificationRow",
    "barrier_data",
    "barrier_rows",
    "barrier_table",
    "certificate_data",
    "certificate_report",
    "comparison_data",
    "comparison_report",
    "group_rows",
    "kind_rows",
    "metric_table",
    "missed_rows",
    "pin_rows",
    "plan_data",
    "plan_report",
    "recipe_data",
    "recipe_report",
    "sweep_data",
    "sweep_table",
    "symmetry_data",
    "symmetry_report",
    "to_json",
    "to_text",
    "verification_data",
    "verification_report",
    "verification_rows",
]
