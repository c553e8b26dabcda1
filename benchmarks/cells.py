"""Cells, tables and the machine, as the benchmarks print them; the standard library only."""

import os
import platform
import time
from pathlib import Path
from typing import Any

Result = dict[str, Any]


def number(value: float | None) -> str:
    """Three significant digits."""
    return "" if value is None else f"{value:.0f}" if value >= 100 else f"{value:#.3g}"


def ratio(slow: float | None, fast: float | None) -> str:
    """How many times faster."""
    if not (slow and fast):
        return ""
    times = slow / fast
    return f"{times:.0f}x" if times >= 10 else f"{times:.1f}x" if times >= 1 else f"{times:.2f}x"


def markdown(head: list[str], rows: list[list[str]]) -> str:
    """A Markdown table with aligned columns."""
    widths = [max(len(row[k]) for row in [head, *rows]) for k in range(len(head))]
    lines = [head, ["-" * width for width in widths], *rows]
    padded = ([cell.ljust(width) for cell, width in zip(line, widths, strict=True)] for line in lines)
    return "\n".join("| " + " | ".join(cells) + " |" for cells in padded)


def machine() -> Result:
    """Date, processor, cores and load, for the head of the table."""
    model = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        names = [line.split(":")[1].strip() for line in info.read_text().splitlines() if "model name" in line]
        model = names[0] if names else model
    about = {"date": time.strftime("%Y-%m-%d"), "cpu": model, "cores": os.cpu_count()}
    return {**about, "os": platform.platform(), "load_before": os.getloadavg()}
