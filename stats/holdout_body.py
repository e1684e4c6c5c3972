"""The measured saving as JSON, and its shape in the OpenAPI document."""

from dataclasses import asdict
from typing import Any

from rest_framework import serializers

from stats.holdout import Measurement


class RangeSerializer(serializers.Serializer[Any]):
    """A figure with its interval of 95 %."""

    value = serializers.FloatField()
    low = serializers.FloatField()
    high = serializers.FloatField()


class HoldoutSerializer(serializers.Serializer[Any]):
    """What the plan saved by measurement: requests with it beside chats held out by lot. Of whole days (UTC)."""

    held = serializers.IntegerField(help_text="Priced requests that were held out.")
    treated = serializers.IntegerField(help_text="Priced requests with the plan, made while it held some out.")
    unpriced = serializers.IntegerField(help_text="Of either kind, of a model without a price: in no figure here.")
    share = RangeSerializer(allow_null=True, help_text="Saved, over what those with the plan would have cost. null: too little data.")
    dollars = RangeSerializer(allow_null=True, help_text="The same in US dollars.")
    needed = serializers.IntegerField(help_text="Requests that must be held out besides before anything can be said.")
    needed_requests = serializers.IntegerField(help_text="About so many requests in all, at the present share.")
    modelled_share = serializers.FloatField(allow_null=True, help_text="What the model says of the very same requests.")
    modelled_dollars = serializers.FloatField(allow_null=True)
    disagrees = serializers.BooleanField(help_text="The model says what the interval rules out.")


def holdout_body(found: Measurement | None) -> dict[str, Any] | None:
    """`HoldoutSerializer`'s shape; None where nothing is held out."""
    return None if found is None else asdict(found) | {"disagrees": found.disagrees}
