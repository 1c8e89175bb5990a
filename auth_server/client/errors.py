"""How the plug-ins fail.

ClientError                     nothing to show to the gateway; the text says why, and holds no secret
├── CognitoAuthenticationError  Cognito gave no token
└── SessionCookieError          there is no session cookie to use
"""


class ClientError(Exception):
    """There is nothing to show to the gateway; the text says why, and never holds a secret."""


class CognitoAuthenticationError(ClientError):
    """There is no token: Cognito refused, or gave no answer that counts.

    `code` is OAuth's `error` (`invalid_client`, `invalid_scope`, …) where Cognito gave one, else empty.
    """

    def __init__(self, message: str, *, code: str = "") -> None:
        super().__init__(message)
        self.code = code


class SessionCookieError(ClientError):
    """There is no session cookie to use; the text says what to do."""
