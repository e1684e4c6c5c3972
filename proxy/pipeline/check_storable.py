"""May the answer be stored? Said before the record, which tells why not."""

import asyncio

from proxy.core.admission import QUICK_BYTES, admission, answer_bytes, is_storable
from proxy.core.exchange import Call
from proxy.core.ports import Toolbox


async def check_storable(call: Call, tools: Toolbox) -> Call:
    """Set `admitted` or `not_kept`. A long answer is judged in a thread."""
    if call.admitted or call.not_kept or not is_storable(call) or answer_bytes(call) < QUICK_BYTES:
        return admission(call)
    return await asyncio.to_thread(admission, call)
