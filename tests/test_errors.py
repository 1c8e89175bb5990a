"""Every no has one root, a code for programs and a message for people."""

from auth_server.errors import (
    ConfigurationError,
    ErrorCode,
    Forbidden,
    HeaderMismatch,
    InvalidRequest,
    Misdirected,
    Mistake,
    NotHere,
    Refusal,
    TooLarge,
    Unauthenticated,
    Unavailable,
    UpstreamLate,
    UpstreamUnavailable,
    WrongMethod,
)


def test_every_refusal_has_a_code_and_a_message() -> None:
    """One root, so that no refusal can be forgotten; each says what for programs and for people."""
    refusals = {
        Unauthenticated(ErrorCode.TOKEN_EXPIRED, "over"): ("TOKEN_EXPIRED", "over"),
        Forbidden(ErrorCode.ACCESS_DENIED, "no", scope="a/b"): ("ACCESS_DENIED", "no"),
        InvalidRequest("unclear"): ("REQUEST_INVALID", "unclear"),
        HeaderMismatch("other"): ("HEADER_MISMATCH", "other"),
        Misdirected("elsewhere"): ("REQUEST_INVALID", "elsewhere"),
        NotHere("nothing", code=ErrorCode.SERVER_UNKNOWN): ("SERVER_UNKNOWN", "nothing"),
        TooLarge("large"): ("BODY_TOO_LARGE", "large"),
        WrongMethod("only", allowed=("GET",)): ("REQUEST_INVALID", "only"),
        Unavailable(ErrorCode.KEYS_UNAVAILABLE, "later", retry_after=7): ("KEYS_UNAVAILABLE", "later"),
        UpstreamUnavailable("gone"): ("UPSTREAM_UNAVAILABLE", "gone"),
        UpstreamLate("slow"): ("UPSTREAM_UNAVAILABLE", "slow"),
    }
    for refusal, (code, message) in refusals.items():
        assert isinstance(refusal, Refusal)
        assert (refusal.code.value, refusal.message) == (code, message)


def test_what_cannot_be_read_is_one_kind_of_refusal() -> None:
    """Whoever handles an unclear request handles each of its kinds."""
    for kind in (HeaderMismatch, Misdirected, NotHere, TooLarge, WrongMethod):
        assert issubclass(kind, InvalidRequest)


def test_what_helps_comes_with_the_refusal() -> None:
    """The scope that a new token would need, the methods there are, and after how many seconds to ask again."""
    assert Forbidden(ErrorCode.ACCESS_DENIED, "no", scope="a/b").scope == "a/b"
    assert Forbidden(ErrorCode.ACCESS_DENIED, "no").scope == ""
    assert WrongMethod("x", allowed=("GET", "POST")).allowed == ("GET", "POST")
    assert Unavailable(ErrorCode.AUTH_UNAVAILABLE, "x", retry_after=7).retry_after == 7
    assert Unavailable(ErrorCode.AUTH_UNAVAILABLE, "x").retry_after == 1


def test_codes_are_spelt_as_they_are_named() -> None:
    """A program compares the text."""
    assert all(code.name == code.value for code in ErrorCode)


def test_a_configuration_error_holds_every_mistake() -> None:
    """Each with its place, all in one line for a log."""
    error = ConfigurationError([Mistake("A", "wrong"), Mistake("scopes.yml:3", "odd")])
    assert error.mistakes == (Mistake("A", "wrong"), Mistake("scopes.yml:3", "odd"))
    assert str(error) == "A: wrong; scopes.yml:3: odd"
