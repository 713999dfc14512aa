"""Runs the benchmarks: `python -m benchmarks` all of them, `python -m benchmarks video` one."""

from __future__ import annotations

import importlib
import json
import os
import pkgutil
import platform
import sys
from pathlib import Path

import rich.console

import benchmarks
from benchmarks import report

SUPPORT = {"__main__", "effects", "report", "servers", "bare", "clips", "crowd"}


def main() -> None:
    """Run what was asked for; each benchmark prints a table and leaves its figures in benchmarks/results."""
    known = sorted(module.name for module in pkgutil.iter_modules(benchmarks.__path__) if module.name not in SUPPORT)
    wanted = [name for name in sys.argv[1:] if name != "all"] or known
    unknown = set(wanted) - set(known)
    if unknown:
        sys.exit(f"there is no benchmark {', '.join(sorted(unknown))}; there are: {', '.join(known)}")
    results = Path(__file__).parent / "results"
    results.mkdir(exist_ok=True)
    machine = {
        "machine": f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores",
        "python": platform.python_version(),
    }
    for name in wanted:
        figures = importlib.import_module(f"benchmarks.{name}").main()
        report.table(rich.console.Console(), name, figures)
        (results / f"{name}.json").write_text(json.dumps(machine | figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
