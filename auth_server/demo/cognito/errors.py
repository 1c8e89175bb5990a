"""What can go wrong, by who has to hear of it.

CognitoError
├── OAuthError             the client, as JSON (RFC 6749, section 5.2)
├── AuthorizationRefused   the client, through the browser (RFC 6749, section 4.1.2.1)
├── BadAuthorization       the person, as a page: there is nowhere safe to redirect to
└── ApiError               the caller of the user pools API, as AWS's JSON
"""


class CognitoError(Exception):
    """Something that the stand-in refuses."""


class OAuthError(CognitoError):
    """A request to a back-channel endpoint is refused."""

    def __init__(self, error: str, status: int = 400) -> None:
        """Take the error code of RFC 6749 or of AWS; AWS answers nearly all of them with 400."""
        super().__init__(error)
        self.error = error
        self.status = status


class AuthorizationRefused(CognitoError):  # noqa: N818 - what happened, not what is broken
    """An authorization request is refused, and the client is to learn why."""

    def __init__(self, redirect_uri: str, state: str | None, error: str, description: str) -> None:
        """Take where the browser goes and what it brings there."""
        super().__init__(error)
        self.redirect_uri = redirect_uri
        self.state = state
        self.error = error
        self.description = description


class BadAuthorization(CognitoError):  # noqa: N818 - what happened, not what is broken
    """A request of a browser names no client, or a redirect that is not registered."""

    def __init__(self, error: str, explanation: str) -> None:
        """Take AWS's error code and a sentence for the person."""
        super().__init__(error)
        self.error = error
        self.explanation = explanation


class ApiError(CognitoError):
    """A call of the user pools API is refused."""

    def __init__(self, exception: str, message: str) -> None:
        """Take AWS's exception name and message."""
        super().__init__(exception)
        self.exception = exception
        self.message = message
