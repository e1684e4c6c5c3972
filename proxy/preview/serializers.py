"""The JSON of a preview: its OpenAPI schema and its serialization."""

from dataclasses import asdict
from typing import Any, get_args

from rest_framework import serializers

from plans.api.serializers import CompressionSerializer
from plans.snapshot import PlanSnapshot
from proxy.core.compression.preview import Place, PromptCost
from proxy.core.types import Message
from proxy.preview.service import PricedPreview
from proxy.upstreams.selectors import PricedModel


class PreviewRequestSerializer(serializers.Serializer[Any]):
    """A chat, as /v1/chat/completions takes it."""

    messages = serializers.ListField(child=serializers.DictField(), min_length=1)
    model = serializers.CharField(
        required=False,
        help_text=(
            "A route's name, else a model's at OpenAI's prices: whose tokens are counted and "
            "billed. Default: the first route."
        ),
    )
    compression = CompressionSerializer(
        required=False, help_text="Fields to try instead of the plan's own."
    )


class PreviewModelSerializer(serializers.Serializer[Any]):
    name = serializers.CharField(help_text="At its provider.")
    provider = serializers.CharField()
    route = serializers.CharField(allow_null=True)


class PreviewTokensSerializer(serializers.Serializer[Any]):
    asked = serializers.IntegerField()
    sent = serializers.IntegerField()


class FollowingSerializer(serializers.Serializer[Any]):
    tokens = serializers.IntegerField()
    warm = serializers.IntegerField(
        help_text="Of those, at the start: the same messages as in this turn."
    )


class NextTurnSerializer(serializers.Serializer[Any]):
    """A short answer, and the same question again."""

    asked = FollowingSerializer()
    sent = FollowingSerializer()


class BillSerializer(serializers.Serializer[Any]):
    """US dollars, as decimal texts."""

    now = serializers.CharField(help_text="This turn's prompt at list price.")
    next_turn = serializers.CharField(
        allow_null=True,
        help_text=(
            "The next turn's, its warm start at the provider's price for that. null: it has none."
        ),
    )


class PreviewCostSerializer(serializers.Serializer[Any]):
    asked = BillSerializer()
    sent = BillSerializer()


class PieceSerializer(serializers.Serializer[Any]):
    """A sentence or block of the chat as asked, or a message that is kept or dropped whole."""

    place = serializers.ChoiceField(choices=get_args(Place))
    message = serializers.IntegerField(help_text="Index in messages.")
    last_message = serializers.IntegerField(
        help_text="Greater than message for a call of tools with its results."
    )
    part = serializers.IntegerField(
        allow_null=True,
        help_text="Content part. null: the text is what a transcript says for the messages.",
    )
    start = serializers.IntegerField(help_text="Characters of that part.")
    end = serializers.IntegerField()
    text = serializers.CharField(allow_blank=True)
    score = serializers.FloatField(
        allow_null=True, help_text="The engine's; null for what it was not asked about."
    )
    rank = serializers.IntegerField(allow_null=True, help_text="1: the highest score.")


class PreviewSerializer(serializers.Serializer[Any]):
    """What compression would do to a chat."""

    object = serializers.CharField(default="preview")
    plan_name = serializers.CharField()
    version = serializers.IntegerField()
    mode = serializers.CharField(help_text="off: requests go out as asked, whatever is shown here.")
    compression = CompressionSerializer(help_text="As tried.")
    model = PreviewModelSerializer()
    engine = serializers.CharField(help_text="What ran in the end.")
    note = serializers.CharField(
        allow_blank=True, help_text="Why it is another engine, or why the budget is exceeded."
    )
    kept = serializers.FloatField(help_text="Tokens sent, as a share of those asked.")
    encoding = serializers.CharField(help_text="The tokenizer.")
    tokens = PreviewTokensSerializer()
    next_turn = NextTurnSerializer()
    cost_usd = PreviewCostSerializer(allow_null=True, help_text="null: the model has no price.")
    messages = serializers.ListField(child=serializers.DictField(), help_text="What would be sent.")
    pieces = PieceSerializer(many=True)


def serialize_preview(
    plan: PlanSnapshot,
    compression: dict[str, Any],
    model: PricedModel,
    found: PricedPreview,
    messages: list[Message],
) -> dict[str, Any]:
    """Serialize the preview of these messages; dollars are decimal strings."""
    cut = found.preview.compression
    return {
        "object": "preview",
        "plan_name": plan.name,
        "version": plan.version,
        "mode": plan.mode,
        "compression": compression,
        "model": {"name": model.name, "provider": model.provider, "route": model.route},
        "engine": cut.engine,
        "note": cut.note,
        "kept": round(cut.after / cut.before, 4),
        "encoding": cut.encoding,
        "tokens": {"asked": cut.before, "sent": cut.after},
        "next_turn": {
            "asked": asdict(found.preview.next_asked),
            "sent": asdict(found.preview.next_sent),
        },
        "cost_usd": {"asked": _serialize_cost(found.asked), "sent": _serialize_cost(found.sent)}
        if found.asked and found.sent
        else None,
        "messages": messages if cut.messages is None else cut.messages,
        "pieces": [shown.to_dict() for shown in found.preview.spans],
    }


def _serialize_cost(bill: PromptCost) -> dict[str, str | None]:
    return {
        "now": f"{bill.now:f}",
        "next_turn": None if bill.next_turn is None else f"{bill.next_turn:f}",
    }
