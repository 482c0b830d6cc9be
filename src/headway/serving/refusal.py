"""Why a request gets no answer: each interface tells it in its own shape."""


class Refusal(Exception):  # noqa: N818  (a client is refused; nothing went wrong)
    """An HTTP status with a message for the client; `field` is what of the request is wrong."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        field: str | None = None,
        code: str | None = None,
        retry_after: int | None = None,
    ) -> None:
        super().__init__(message)
        self.status, self.message, self.field, self.code = status, message, field, code
        self.retry_after = retry_after
        """Seconds after which it may go better."""


def invalid(field: str, message: str) -> Refusal:
    """A field of the request cannot be used."""
    return Refusal(422, f"{field}: {message}", field=field, code="invalid_value")


def too_busy() -> Refusal:
    return Refusal(429, "too many requests are waiting; try again", code="queue_full", retry_after=1)


def too_late() -> Refusal:
    return Refusal(504, "the time limit of the server is over", code="timeout")


def stopping() -> Refusal:
    return Refusal(503, "the server is about to stop", code="stopping", retry_after=5)


def failed() -> Refusal:
    """Something went wrong inside; what, is for the server's log alone."""
    return Refusal(500, "the server failed on this request", code="internal_error")
