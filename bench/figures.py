"""Print figures the same way everywhere: `metric value unit n p50 p99`, and judge the floors.

Called by: the questions of this folder.
Owns: the exit code of a question: 1 when a floor is missed.
Never: measures.
"""

import statistics
import sys
from collections.abc import Sequence

_missed: list[str] = []


def quantile(values: Sequence[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def show(metric: str, values: Sequence[float], unit: str) -> float:
    """One line; returns the median."""
    middle = statistics.median(values)
    print(
        f"{metric:44} {middle:10.3f} {unit:6} n={len(values):<5}"
        f" p50={middle:.3f} p99={quantile(values, 0.99):.3f}",
        flush=True,
    )
    return middle


def floor(metric: str, ratio: float, *, at_least: float = 0.0, at_most: float = 0.0) -> None:
    """One ratio against what it must reach."""
    kept = ratio >= at_least if at_least else ratio <= at_most
    bound = f">= {at_least}" if at_least else f"<= {at_most}"
    print(f"{metric:44} {ratio:10.3f} ratio  must be {bound}: {'kept' if kept else 'MISSED'}")
    if not kept:
        _missed.append(metric)


def finish() -> None:
    sys.exit(1 if _missed else 0)
