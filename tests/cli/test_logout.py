"""`auth-server logout`: the session ends, here and at the gateway."""

from support.person_with_a_terminal import World, one_line
from support.shared_machine import free_port


def test_logout(world: World) -> None:
    """The gateway is asked to end the session, and the file goes; a second time there is nothing to do."""
    world.signed_in()
    assert world.run("logout") == (0, "signed out; the session has ended\n", "")
    assert not world.cookie_file.exists()
    assert ("DELETE", "/session") in world.door.seen
    assert world.run("logout") == (0, "nobody is signed in here\n", "")


def test_logout_of_a_session_that_is_over(world: World) -> None:
    """What the gateway does not know any more is no failure."""
    world.cookie_file.parent.mkdir()
    world.cookie_file.write_text("forged.cookie.value")
    assert world.run("logout") == (0, "signed out; the session was over already\n", "")
    assert not world.cookie_file.exists()


def test_an_ended_session_counts_no_more(world: World) -> None:
    """The cookie that was signed out, kept by somebody and used again, is refused."""
    cookie = world.signed_in()
    assert world.run("logout")[0] == 0
    world.cookie_file.write_text(cookie)
    world.cookie_file.chmod(0o600)
    code, _, err = world.run("whoami")
    assert code == 1
    assert "REVOKED" in one_line(err)


def test_logout_with_an_open_file(world: World) -> None:
    """A cookie that others may have read is ended all the more."""
    world.signed_in()
    world.cookie_file.chmod(0o666)
    assert world.run("logout") == (0, "signed out; the session has ended\n", "")


def test_logout_without_the_gateway(world: World) -> None:
    """The file goes even where the gateway is silent; that the session lives on is said, and a failure."""
    world.signed_in()
    code, out, err = world.run("logout", "--gateway", f"http://127.0.0.1:{free_port()}")
    assert (code, out) == (1, "")
    assert "is removed, but the session could not be ended" in one_line(err)
    assert not world.cookie_file.exists()


def test_logout_of_an_unusable_file(world: World) -> None:
    """What holds no cookie goes, too; what cannot go is said."""
    world.cookie_file.parent.mkdir()
    world.cookie_file.write_text("no cookie at all")
    code, _, err = world.run("logout")
    assert (code, "is removed" in one_line(err)) == (1, True)
    assert not world.cookie_file.exists()
    world.cookie_file.mkdir()
    code, _, err = world.run("logout")
    assert (code, "cannot be removed" in one_line(err)) == (1, True)
