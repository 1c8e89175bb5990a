"""What went wrong with signing in, told to a person: what happened, and what to do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from auth_server.errors import (
    ErrorCode,
    Forbidden,
    InvalidRequest,
    NotHere,
    Refusal,
    Unauthenticated,
    Unavailable,
)

if TYPE_CHECKING:
    from auth_server.oauth.cognito import CognitoError

_SIGN_IN_AGAIN = "Sign in again"


class Problem(Exception):  # noqa: N818 - what happened, as a page tells it
    """A refusal with a page of its own.

    `remedies` are sentences; `again` labels the button that starts over (none where that could not help), and
    `target` is where one wanted to go.
    """

    def __init__(
        self, refusal: Refusal, title: str, *remedies: str, again: str = _SIGN_IN_AGAIN, target: str = "/"
    ) -> None:
        super().__init__(refusal.code, refusal.message)
        self.refusal = refusal
        self.title = title
        self.remedies = remedies
        self.again = again
        self.target = target


def not_configured() -> Problem:
    """Return: nobody can sign in at this gateway."""
    return Problem(
        Unavailable(ErrorCode.AUTH_UNAVAILABLE, "sign-in is not set up at this gateway", retry_after=60),
        "Sign-in is not set up",
        "Its operator sets COGNITO_CLIENT_ID (the app client that signs people in) and SECRET_KEY.",
        "Agents with a Cognito token of their own are not affected.",
        again="",
    )


def not_begun_here() -> Problem:
    """Return: a callback that this browser did not ask for, or no longer remembers."""
    return Problem(
        InvalidRequest("this sign-in was not begun in this browser, was finished before, or took too long"),
        "This sign-in can't be finished",
        "A sign-in counts once, for ten minutes, and in the browser that began it. Start again.",
        "If that does not help: does your browser accept cookies from this address?",
    )


def refused_by_cognito(error: str) -> Problem:
    """Return: Cognito sent the person back with an error (RFC 6749, section 4.1.2.1)."""
    match error:
        case "access_denied":
            return Problem(
                Forbidden(
                    ErrorCode.ACCESS_DENIED, "Cognito let nobody in: the sign-in was cancelled or denied"
                ),
                "You were not signed in",
                "If you cancelled, all is well: sign in whenever you like.",
                "If you did not, your account may not be allowed to use this gateway. Ask its operator.",
            )
        case "temporarily_unavailable" | "server_error":
            return Problem(
                Unavailable(ErrorCode.AUTH_UNAVAILABLE, f"Cognito answered {error}"),
                "Cognito has a problem",
                "It said so itself. Try again in a minute.",
            )
        case _:
            return Problem(
                Unavailable(
                    ErrorCode.AUTH_UNAVAILABLE, f"Cognito refused the gateway's request with {error}"
                ),
                "Cognito refused this gateway",
                "This is a matter of settings. Tell the gateway's operator what stands below.",
                "The app client must allow the authorization code grant and the scope openid.",
            )


def refused_code(error: CognitoError, *, redirect_uri: str) -> Problem:
    """Return: Cognito did not take the code (RFC 6749, section 5.2), or could not be asked."""
    match error.code:
        case "invalid_grant":
            return Problem(
                InvalidRequest(
                    "Cognito refused the code with invalid_grant: it was used before, or is too old"
                ),
                "This sign-in has been used up",
                "A code from Cognito counts once and for five minutes. Sign in again for a new one.",
                f"If it happens each time: the app client must list exactly {redirect_uri} as callback URL.",
            )
        case "":
            return Problem(
                Unavailable(
                    ErrorCode.AUTH_UNAVAILABLE, "Cognito did not answer, so that nobody was signed in"
                ),
                "Cognito does not answer",
                "Try again in a minute.",
            )
        case "redirect_mismatch":
            remedy = f"The app client must list exactly {redirect_uri} as callback URL."
        case "invalid_client":
            remedy = "COGNITO_CLIENT_ID and COGNITO_CLIENT_SECRET must be those of one app client."
        case _:
            remedy = "The app client must allow the authorization code grant and the scope openid."
    return Problem(
        Unavailable(ErrorCode.AUTH_UNAVAILABLE, f"Cognito refused the gateway with {error.code}"),
        "Cognito refused this gateway",
        "This is a matter of settings. Tell the gateway's operator what stands below.",
        remedy,
    )


def refused_token(refusal: Refusal) -> Problem:
    """Return: the ID token that Cognito answered with does not count."""
    if refusal.code in {ErrorCode.TOKEN_EXPIRED, ErrorCode.TOKEN_NOT_YET_VALID}:
        return Problem(
            refusal,
            "The clocks do not agree",
            "Cognito's answer is from another time than this gateway's. Its operator should set its clock "
            "(NTP). Then sign in again.",
        )
    if isinstance(refusal, Unavailable):
        return Problem(refusal, "Cognito's keys are not known yet", "Try again in a moment.")
    return Problem(
        refusal,
        "This sign-in does not add up",
        "What Cognito answered does not belong to the sign-in that this browser began, so it was not used.",
        "Sign in again. If it happens each time, tell the gateway's operator what stands below.",
    )


def too_many_groups() -> Problem:
    """Return: the session does not fit in a cookie."""
    return Problem(
        Forbidden(ErrorCode.ACCESS_DENIED, "this user's groups do not fit in a session cookie"),
        "Your account has too many groups",
        "The names of your groups do not fit in a browser's cookie. Ask to be removed from some.",
        again="",
    )


def signed_out_here_only(reason: str) -> Problem:
    """Return: the browser forgot the session, but the rest of signing out did not happen."""
    return Problem(
        Unavailable(ErrorCode.AUTH_UNAVAILABLE, f"signed out in this browser only: {reason}"),
        "You are signed out in this browser only",
        "The gateway could not finish. A copy of the session, or your sign-in at Cognito, may still count.",
        "Tell the gateway's operator, who can end the session: auth-server revoke --user.",
        again="",
    )


def problem_of(refusal: Refusal) -> Problem:
    """Return the page for a refusal that no step of signing in made."""
    match refusal:
        case Forbidden(code=ErrorCode.ORIGIN_MISMATCH):
            return Problem(
                refusal,
                "This came from another site",
                "A page of another site tried to act in your name. Nothing was changed.",
                again="",
            )
        case NotHere():
            return Problem(
                refusal,
                "There is no such page",
                "Your servers and tools are on the start page.",
                again="",
            )
        case Unauthenticated():
            return Problem(refusal, "You are not signed in", "Sign in to go on.")
        case Unavailable():
            return Problem(refusal, "That did not work", "Try again in a moment.", again="Try again")
        case _:
            return Problem(refusal, "This request can't be answered", "Go back and try again.", again="")
