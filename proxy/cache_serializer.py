"""A django-redis serializer for envelopes, so that the admin shares the exact cache's entries."""

from typing import Any

from django_redis.serializers.base import BaseSerializer

from proxy.core.caching import envelope
from proxy.sealer import get_sealer


class EnvelopeSerializer(BaseSerializer):  # type: ignore[misc]  # django-redis ships no types
    """For `OPTIONS["SERIALIZER"]` of the alias `exact`; values are sealed Envelopes."""

    # The hot path serves one only under a key that the envelope itself names.
    def dumps(self, value: Any) -> bytes:
        if not isinstance(value, envelope.Envelope):
            raise TypeError(f"the exact cache keeps envelopes, not {type(value).__name__}")
        return envelope.encode_envelope(value, get_sealer())

    def loads(self, value: bytes) -> envelope.Envelope | None:
        """Decode an envelope; None, as for a miss, if the gateway did not seal it."""
        try:
            return envelope.decode_envelope(value, get_sealer())
        except envelope.BadEnvelope:
            get_sealer().refusals.count_refusal("exact")
            return None
