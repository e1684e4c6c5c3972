"""Where the old part of a chat ends: a mark that stands still for many turns, so that what was made of the old part stays the same.

Turns gather after the mark until they are more than HIGH of the budget; then it moves on as far as it can with LOW of the budget, or
more, after it. It depends on the sizes of the earlier turns alone: whoever sees the same chat, with or without memory of it, finds the
same mark.

With a block of an eighth of 4,096 tokens the prefix has about 1,024 to 1,664: most providers remember none of less than 1,024.
"""

from collections.abc import Sequence

LOW, HIGH = 4 / 32, 9 / 32


def mark(costs: Sequence[int], budget: int) -> int:
    """How many of the units are old. `costs`: tokens of each, in the order of the chat, what never goes counted as nothing."""
    low, high = LOW * budget, HIGH * budget
    old = gathered = 0
    for cost in costs:
        gathered += cost
        if gathered > high:
            # A turn that is longer than all of that goes.
            while gathered > high or (gathered > low and gathered - costs[old] >= low):
                gathered -= costs[old]
                old += 1
    return old
