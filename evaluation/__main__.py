"""`make eval-compression`: what compression keeps, beside simple methods,
and what it costs with a provider that caches prefixes.

Prints both tables; `--json <file>` writes `{engine: {budget: {source: share}}, "money": {ratio:
figures}, "seconds": s}`.
"""

import argparse
import json
import time
from pathlib import Path

from evaluation import compression, money
from evaluation.rules import PUBLISHED
from plans.snapshot import CompressionSettings


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m evaluation", description=__doc__)
    parser.add_argument(
        "--data", type=Path, required=True, help="a folder with long_chats.jsonl.gz"
    )
    parser.add_argument(
        "--models",
        type=Path,
        default=Path("var/models"),
        help="where prepare_embedder has put its models",
    )
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    arguments = parser.parse_args()
    begun = time.monotonic()
    kept = compression.measure(arguments.data, arguments.models)
    print(f"Share of questions whose evidence is sent\n\n{compression.render(kept)}\n", flush=True)
    settings = CompressionSettings(engine="text_rank", max_input_tokens=money.BUDGET)
    paid = money.measure(arguments.data, settings, PUBLISHED["openai"], arguments.models)
    seconds = round(time.monotonic() - begun, 1)
    print(
        f"Cost against none: budget {money.BUDGET}, rules of openai; {seconds:.0f} s in all\n\n"
        f"{money.render(paid)}"
    )
    if arguments.json:
        arguments.json.write_text(json.dumps(kept | {"money": paid, "seconds": seconds}, indent=1))


if __name__ == "__main__":
    main()
