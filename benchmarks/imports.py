"""What `import mayfly` costs a producer."""

from __future__ import annotations

import statistics
import subprocess
import sys

ROUNDS = 7
PROBE = """
import resource
def spent():
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime
before = spent()
{statement}
print(spent() - before)
"""


def main() -> dict[str, float]:
    """Processor seconds of imports, each in a fresh interpreter, the interpreter's own start not counted."""
    figures = {}
    for name, statement in {
        "import mayfly, s of CPU (under 0.5)": "import mayfly",
        "from mayfly import Client, s of CPU": "from mayfly import Client",
        "Client() and sender, s of CPU": "from mayfly import Client; Client(); import mayfly.tasks.app",
    }.items():
        seconds = [_run(PROBE.format(statement=statement)) for _ in range(ROUNDS)]
        figures[name] = statistics.median(seconds)
    return figures


def _run(program: str) -> float:
    return float(subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout)
