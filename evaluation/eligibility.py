"""Which questions are left to the exact tier as personal or time-bound:
`python -m evaluation.eligibility [--data FOLDER]`.

The set beside this file was written by hand before the rules were looked at: 60 questions of one
person, 60 of one moment, 60 that one answer serves whoever asks and whenever. A third, by hash, was
not looked at while the rules were mended (`held`).
"""

import argparse
import gzip
import hashlib
import json
from collections import Counter
from pathlib import Path

from plans.snapshot import CacheSettings
from proxy.core.caching.eligibility import semantic_ineligibility
from proxy.core.formats.chat_completions import ChatRequest

SET = Path(__file__).parent / "sets" / "eligibility.jsonl"
# The same three kinds in other languages, and questions in languages of which the gateway knows
# nothing.
LANGUAGES_SET = SET.with_name("languages.jsonl")
BYPASSED = frozenset({"personal", "time-sensitive"})


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m evaluation.eligibility", description=__doc__)
    parser.add_argument("--data", type=Path, help="a folder with faq_stream.jsonl.gz")
    arguments = parser.parse_args()
    for (label, part), (caught, total) in sorted(rates(questions()).items()):
        print(f"{label:9} {part:5} {caught:3} of {total}")
    for (language, label), (caught, total) in sorted(rates_by_language().items()):
        print(f"{label:9} {language:5} {caught:3} of {total}")
    if arguments.data:
        with gzip.open(arguments.data / "faq_stream.jsonl.gz", "rt") as lines:
            asked = [json.loads(line)["query"] for line in lines]
        print(f"faq_stream      {sum(map(bypassed, asked)):3} of {len(asked)}")


def questions() -> list[tuple[str, str]]:
    """(question, label) of the committed set; labels: personal, time, plain."""
    rows = map(json.loads, SET.read_text().splitlines())
    return [(row["text"], row["label"]) for row in rows]


def rates(labelled: list[tuple[str, str]]) -> dict[tuple[str, str], tuple[int, int]]:
    """(label, "open" or "held") to how many are left to the exact tier, of how many."""
    total = Counter((label, _part(text)) for text, label in labelled)
    caught = Counter((label, _part(text)) for text, label in labelled if bypassed(text))
    return {group: (caught[group], count) for group, count in total.items()}


def rates_by_language() -> dict[tuple[str, str], tuple[int, int]]:
    """(language, label) to how many are left to the exact tier, of how many;
    `other` stands for all without rules."""
    rows = [json.loads(line) for line in LANGUAGES_SET.read_text().splitlines()]
    total = Counter((row["language"], row["label"]) for row in rows)
    caught = Counter(
        (row["language"], row["label"]) for row in rows if refusal(row["text"]) is not None
    )
    return {group: (caught[group], count) for group, count in total.items()}


def bypassed(question: str) -> bool:
    """Whether the semantic tier leaves this question alone as personal or time-bound,
    by the gateway's own decision."""
    return refusal(question) in BYPASSED


def refusal(question: str) -> str | None:
    """Why the default plan leaves this question to the exact tier."""
    request = ChatRequest(body={}, model="m", messages=[{"role": "user", "content": question}])
    return semantic_ineligibility(request, CacheSettings())


def _part(text: str) -> str:
    return "held" if int(hashlib.sha256(text.encode()).hexdigest(), 16) % 3 == 0 else "open"


if __name__ == "__main__":
    main()
