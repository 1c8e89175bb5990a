from auth_server.errors import (
    ConfigurationError,
    ErrorCode,
    Forbidden,
    InvalidRequest,
    Mistake,
    Refusal,
    Unauthenticated,
    Unavailable,
)


def test_every_refusal_has_a_code_and_a_message() -> None:
    """One root, so that no refusal can be forgotten; each says what for programs and for people."""
    refusals = [
        Unauthenticated(ErrorCode.TOKEN_EXPIRED, "over"),
        Forbidden(ErrorCode.ACCESS_DENIED, "no", scope="a/b"),
        InvalidRequest("unclear"),
        Unavailable(ErrorCode.KEYS_UNAVAILABLE, "later", retry_after=7),
    ]
    assert all(isinstance(refusal, Refusal) for refusal in refusals)
    assert [(refusal.code.value, refusal.message) for refusal in refusals] == [
        ("TOKEN_EXPIRED", "over"),
        ("ACCESS_DENIED", "no"),
        ("REQUEST_INVALID", "unclear"),
        ("KEYS_UNAVAILABLE", "later"),
    ]


def test_what_helps_comes_with_the_refusal() -> None:
    """The scope that a new token would need, and after how many seconds to ask again."""
    assert Forbidden(ErrorCode.ACCESS_DENIED, "no", scope="a/b").scope == "a/b"
    assert Forbidden(ErrorCode.ACCESS_DENIED, "no").scope == ""
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
