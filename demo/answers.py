"""What the demo upstream says: text made from the question's label alone,
so that the same question always gets the same answer.

Every answer begins with the label of the question it was made for, in brackets. Whoever receives it
can tell whether it was meant for them.
"""

import hashlib
import json
import random
from typing import Any

_MARK = "[asked: "
_SENTENCES = (
    "Thanks for getting in touch, I have looked into this for you.",
    "You can do that in the app under Account, then Requests.",
    "It usually takes between three and five working days.",
    "There is no charge for this on your current plan.",
    "You will get a confirmation by e-mail as soon as it has gone through.",
    "If anything looks wrong, reply here and a colleague will check it.",
    "Please have your reference number ready in case we need to call you.",
    "The change applies from your next billing date.",
    "We keep the request open until you tell us that all is well.",
    "You can undo it at any time before the date shown in the app.",
    "For a shared account the owner has to agree first.",
    "The terms on our website have the full details.",
)


def label_of(body: dict[str, Any]) -> str:
    """The label of a request: `metadata.label`, which gateways pass on untouched,
    else a digest of its final message."""
    metadata = body.get("metadata")
    label = metadata.get("label") if isinstance(metadata, dict) else None
    if isinstance(label, str) and label:
        return label
    final = repr(body["messages"][-1].get("content"))
    return f"digest {hashlib.sha256(final.encode()).hexdigest()[:16]}"


def answer(label: str) -> str:
    """An answer of about 40 to 120 tokens that carries the label, as a JSON string,
    and depends on nothing else."""
    source = random.Random(label)
    return f"{_MARK}{json.dumps(label)}] " + " ".join(
        source.sample(_SENTENCES, source.randint(3, 8))
    )


def label_in(text: str) -> str | None:
    """The label that an answer carries; None when it carries none."""
    if not text.startswith(_MARK):
        return None
    try:
        label, _ = json.JSONDecoder().raw_decode(text, len(_MARK))
    except ValueError:
        return None
    return label if isinstance(label, str) else None
