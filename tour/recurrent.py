"""The opponent of the first page: an LSTM between the embedding and the output of Headway's decoder.

Axes: B rows, T positions, D d_model.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from headway.batch import Tokens
from headway.model.architectures import Transformer
from headway.model.config import TransformerConfig
from headway.model.initialise import initialise
from headway.model.norm import build_norm
from headway.model.positions import positions_of


class RecurrentLM(Transformer):
    """A causal language model without attention: each token from a state that is carried on.

    It shares embedding, norm, output and loss with the decoder that `config` describes; `torch.nn.LSTM`
    stands where the layers would. `config.positions` should be none: a recurrent network counts by itself.
    """

    def __init__(self, config: TransformerConfig, layers: int, hidden: int) -> None:
        super().__init__(config)
        self.lstm = nn.LSTM(config.d_model, hidden, layers, batch_first=True)
        self.back = nn.Linear(hidden, config.d_model)
        self.norm = build_norm(config)
        initialise(self, config)
        remember(self.lstm)

    def forward(self, inputs: Tokens, source: Tokens | None = None) -> Float[Tensor, "B T D"]:
        states, _ = self.lstm(self.embedding(inputs.ids, positions_of(inputs)))
        found: Tensor = self.norm(self.back(states))
        return found


@torch.no_grad()
def remember(lstm: nn.LSTM) -> None:
    """Begin with forget gates that are open: a bias of 1 (Jozefowicz, Zaremba and Sutskever 2015, §2.2)."""
    for name, bias in lstm.named_parameters():
        if name.startswith("bias_ih"):
            bias[lstm.hidden_size : 2 * lstm.hidden_size] += (
                1.0  # gates lie in the order input, forget, cell, output
            )


def recurrent_parameters(config: TransformerConfig, layers: int, hidden: int) -> int:
    """How many parameters such an LSTM has with the way back to d_model, without embedding and norm."""
    first, other = 4 * hidden * (config.d_model + hidden + 2), 4 * hidden * (2 * hidden + 2)
    return first + (layers - 1) * other + (hidden + 1) * config.d_model


def hidden_for(config: TransformerConfig, layers: int, parameters: int) -> int:
    """The size of state with which `RecurrentLM` has nearly so many parameters, embedding and norm apart."""
    sizes = range(1, 16 * config.d_model)
    return min(sizes, key=lambda hidden: abs(recurrent_parameters(config, layers, hidden) - parameters))
