"""An explanation as JSON: the shape of `ExplanationSerializer`."""

from typing import Any

from proxy.core.exchange import Judged
from proxy.core.ports import Candidate
from proxy.pipeline.explain import Explained
from proxy.pipeline.verify import threshold


def explanation_body(found: Explained, *, texts: bool) -> dict[str, Any]:
    """`ExplanationSerializer`'s shape. `texts`: whether the reader may see what others asked."""
    decided, looked = found.decided, found.looked
    plan, key, keys = decided.plan, decided.key, looked.keys
    assert plan is not None and key is not None  # noqa: S101, PT018 -- explained with both
    return {
        "object": "explanation",
        "plan_name": plan.name,
        "version": plan.version,
        "mode": plan.mode,
        "tenant": key.tenant,
        "key": key.name or None,
        "route": decided.target.name,
        "scope": keys.scope if keys else None,
        "decision": _decision(found),
        "exact": {"key": keys.exact if keys else None, "sent_key": keys.sent if keys else None},
        "semantic": _semantic(found, texts=texts),
        "compression": None if looked.cut is None else {name: getattr(looked.cut, name) for name in ("engine", "before", "after", "note")},
    }


def _decision(found: Explained) -> dict[str, Any]:
    call, hit = found.decided, found.hit
    veto = call.vetoes[0] if call.tier == "miss" and call.vetoes else ""
    return {
        "tier": call.tier,
        "reason": call.reason or veto,
        "would": call.would.tier if call.would else "",
        "entry_id": hit.entry_id if hit else "",
        "similarity": hit.similarity if hit else None,
        "score": hit.score if hit else None,
        "age": hit.envelope.age(call.at) if hit else None,
        "failures": list(call.failures),
        "held_out": found.held_out,
    }


def _semantic(found: Explained, *, texts: bool) -> dict[str, Any]:
    call = found.looked
    cache = call.plan.cache if call.plan else None
    bucket = call.keys.bucket if call.keys else None
    backend = cache.backend if cache else None
    why = call.vetoes[0] if call.vetoes else next(iter(call.failures), call.reason) if backend else "no-backend"
    return {
        "eligible": bucket is not None,
        "reason": "" if bucket else why,
        "backend": backend,
        "bucket": bucket,
        "match": cache.match if cache else None,
        "threshold": threshold(call) if cache and backend else None,
        "nearest": [_neighbour(each, found, texts=texts) for each in found.nearest],
    }


def _neighbour(candidate: Candidate, found: Explained, *, texts: bool) -> dict[str, Any]:
    judged = next((each for each in found.looked.judged if each.entry_id == candidate.entry_id), None)
    return {
        "entry_id": candidate.entry_id,
        "question": candidate.question if texts else None,
        "similarity": round(candidate.similarity, 4),
        "score": judged.score if judged else None,
        "verdict": _verdict(candidate, judged, found),
    }


def _verdict(candidate: Candidate, judged: Judged | None, found: Explained) -> str:
    call = found.looked
    if judged is not None:
        return judged.reason or "served"
    if candidate.similarity < found.floor:
        return "below-floor"
    looked_at = any(each.entry_id == candidate.entry_id for each in call.candidates)
    return "below-threshold" if looked_at and candidate.similarity < threshold(call) else "not-looked-at"
