"""Why a log-in by OIDC was refused: what the person reads, and what the log says."""


class SignOnRefused(Exception):
    """A log-in that was refused.

    `shown` is for the person and says nothing of tokens or settings; `detail` is for the log.
    """

    status = 403
    title = "You were not logged in"

    def __init__(self, shown: str, *, detail: str = "") -> None:
        super().__init__(detail or shown)
        self.shown, self.detail = shown, detail or shown


class AttemptInvalid(SignOnRefused):
    """The reply belongs to no log-in that this browser began, or to one that is over."""

    status = 400

    def __init__(self, detail: str) -> None:
        super().__init__(
            "This log-in was not begun in this browser, took too long, or is over. Begin again.",
            detail=detail,
        )


class TokenInvalid(SignOnRefused):
    """The provider's reply does not prove who somebody is."""

    def __init__(self, detail: str) -> None:
        super().__init__(
            "The identity provider's reply could not be verified. An operator finds the reason "
            "in the gateway's log.",
            detail=detail,
        )


class ProviderUnavailable(SignOnRefused):
    """The identity provider did not answer in time, or not as one does."""

    status = 503
    title = "The identity provider does not answer"

    def __init__(self, detail: str) -> None:
        super().__init__("Try again in a moment. Nothing of your account changed.", detail=detail)


class NoRole(SignOnRefused):
    """The claims give no role here, or contradict each other."""


class AccountDisabled(SignOnRefused):
    """The account here is not active."""

    def __init__(self) -> None:
        super().__init__("Your account here is disabled. Ask a platform admin.")
