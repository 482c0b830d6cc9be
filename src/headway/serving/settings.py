"""What the server listens to, allows and refuses."""

from dataclasses import dataclass

from headway.errors import refuse_out_of_range


@dataclass(frozen=True, kw_only=True)
class ServingConfig:
    """Limits guard a small machine; what exceeds one is refused with a message that names it."""

    host: str = "127.0.0.1"
    port: int = 8000
    """0 = any free one."""
    key: str = ""
    """What clients must send as `Authorization: Bearer KEY`; empty = nothing."""
    cors: str = ""
    """The origin whose pages may use the server, `*` = all; empty = its own page alone."""
    timeout: float = 60.0
    """Seconds that a request may wait and compute."""
    queue: int = 256
    """Texts that may wait; what comes beyond is told to try again."""
    batch_tokens: int = 16384
    """Rows times their longest possible length, decoded together."""
    max_body: int = 2**20
    """Bytes of a request."""
    max_characters: int = 20_000
    """Of all texts of a request together."""
    max_texts: int = 64
    max_outputs: int = 16
    """Outputs for each text."""
    max_tokens: int = 4096
    """Tokens that a request may ask for."""

    def __post_init__(self) -> None:
        positive = ("queue", "batch_tokens", "max_body", "max_characters", "max_texts", "max_outputs")
        rules = [(name, getattr(self, name) >= 1, "at least 1") for name in (*positive, "max_tokens")]
        rules.append(("port", 0 <= self.port <= 65535, "from 0 to 65535"))
        rules.append(("timeout", self.timeout > 0, "above 0"))
        refuse_out_of_range("serve", self, rules)
