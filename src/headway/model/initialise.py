"""Starting weights. The paper does not state them; these are those of its authors' code family."""

from torch import nn

from headway.model.config import TransformerConfig


def initialise(model: nn.Module, config: TransformerConfig) -> None:
    """Glorot-uniform matrices, zero biases, embeddings of deviation d_model^-0.5 (0.02 if unscaled).

    Tables of learned and of relative positions are embeddings too. Norms begin with factors of 1.
    """
    std = config.d_model**-0.5 if config.scale_embeddings else 0.02
    for module in model.modules():
        if isinstance(module, nn.Linear):
            nn.init.xavier_uniform_(module.weight)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    for module in model.modules():  # after the linear layers: a tied output is an embedding
        if isinstance(module, nn.Embedding):
            nn.init.normal_(module.weight, std=std)
