"""Fuzz the edge, guided by the coverage of the bot's code and of the SDK's parsing: `make fuzz MINUTES=3`.

You should see libFuzzer's lines, then how many inputs were tried and how they were answered. An input that breaks
something is printed and kept in the folder that is named; `python -m tests.fuzz FILE` tries it again.
"""

from __future__ import annotations

import pathlib
import random
import resource
import sys
import tempfile

import atheris

with atheris.instrument_imports(include=["bots", "data_models", "storage", "msrest.serialization", "app", "config"]):
    from tests.fuzz.wire import Application

from tests.fuzz.mutations import mutate, seeds

REPORT_EVERY = 2_000  # inputs
AFRESH = 0.5  # of the inputs begin with a good one: what was changed often is refused early


def _mutate(data: bytes, longest: int, seed: int) -> bytes:
    chance = random.Random(seed)  # noqa: S311 - repeatable
    if chance.random() < AFRESH:
        data = chance.choice(seeds())
    changed = mutate(data, chance) if chance.random() < 0.8 else atheris.Mutate(data, longest)
    return changed[:longest]


def main() -> None:
    """Run for as many seconds as the first argument says, or on one file."""
    application = Application()
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    def try_one(data: bytes) -> None:
        application.try_one(data)
        if application.tried % REPORT_EVERY == 0:  # libFuzzer ends the process without ceremony
            report()

    def report() -> None:
        grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory) // 1024
        print(f"{application.tried} inputs, answered {dict(sorted(application.statuses.items()))}; {grown} MB more")

    given = sys.argv[1]
    if pathlib.Path(given).is_file():
        application.try_one(pathlib.Path(given).read_bytes())
        return
    folder = pathlib.Path(tempfile.mkdtemp(prefix="fuzz-"))
    for number, seed in enumerate(seeds()):
        (folder / f"seed-{number}").write_bytes(seed)
    options = [f"-max_total_time={given}", "-max_len=65536", f"-artifact_prefix={folder}/", "-print_final_stats=1"]
    atheris.Setup([sys.argv[0], *options, str(folder)], try_one, custom_mutator=_mutate)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
