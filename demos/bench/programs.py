"""The bots that are compared, each a process: `python -m demos.bench.programs ours|stock|framework|floor WORKLOAD`.

Workloads are "ordinary" and "both"; ours and stock's also have "laden".
"""

from __future__ import annotations

import os
import sys

from demos.bench import usage


def main(program: str, workload: str) -> int:
    """Run it from the environment until SIGTERM; return the exit code."""
    usage.report(remote=os.environ["STATE_STORAGE"] in ("blob", "cosmos"))
    if program == "floor":
        from demos.bench import floor

        return floor.main(workload)
    if program == "framework":
        from demos.bench import floor, framework

        return floor.main(workload, framework.Handler)
    from bots import StateManagementBot
    from demos.bench.laden_bot import LadenBot
    from demos.counter import CounterBot

    bot = {"ordinary": StateManagementBot, "both": CounterBot, "laden": LadenBot}[workload]
    if program == "stock":
        from demos import stock

        return stock.main(bot)
    import app

    return app.main(bot)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
