"""The envelope as a django-redis serializer, so that the admin and the hot path read
and write the same cache entries."""

from typing import Any

from django_redis.serializers.base import BaseSerializer

from proxy.core.caching import envelope
from proxy.sealer import get_sealer


class EnvelopeSerializer(BaseSerializer):  # type: ignore[misc]  # django-redis ships no types
    """Use as `OPTIONS["SERIALIZER"]` of the alias `exact`. Values are
    `proxy.core.caching.envelope.Envelope`, sealed. The hot path serves one only under a key that
    the envelope itself names."""

    def dumps(self, value: Any) -> bytes:
        if not isinstance(value, envelope.Envelope):
            raise TypeError(f"the exact cache keeps envelopes, not {type(value).__name__}")
        return envelope.encode_envelope(value, get_sealer())

    def loads(self, value: bytes) -> envelope.Envelope | None:
        """None, as for a key that is not there, for what we did not seal."""
        try:
            return envelope.decode_envelope(value, get_sealer())
        except envelope.BadEnvelope:
            get_sealer().refusals.count_refusal("exact")
            return None
