"""What people see: the sign-in page and the page that says what is wrong. HTML and one CSS, no script."""

from html import escape
from pathlib import Path
from string import Template

STYLE = Path(__file__).with_name("style.css").read_text(encoding="utf-8")

_PAGE = Template("""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>$title</title>
<link rel="stylesheet" href="style.css">
</head>
<body>
<main>
$content
<p class="note">A local stand-in for Amazon Cognito. User pool <code>$pool</code>.</p>
</main>
</body>
</html>
""")

_SIGN_IN = Template("""<h1>Sign in</h1>
<p class="client">to continue to <strong>$client</strong></p>
$alert<form method="post">
<input type="hidden" name="_csrf" value="$csrf">
<label for="username">User name</label>
<input id="username" name="username" value="$username" autocomplete="username" autocapitalize="none"
 spellcheck="false" required$username_focus$described>
<label for="password">Password</label>
<input id="password" name="password" type="password" autocomplete="current-password"
 required$password_focus$described>
<div class="actions">
<button name="action" value="sign-in">Sign in</button>
<button name="action" value="cancel" class="quiet" formnovalidate>Cancel</button>
</div>
</form>""")

_PROBLEM = Template("""<h1>$title</h1>
<p>$explanation</p>
<p class="client">Error: <code>$error</code></p>""")


def sign_in(*, pool: str, client: str, csrf: str, username: str = "", problem: str | None = None) -> str:
    """Return the sign-in page; with `problem` as an alert above the form."""
    alert = f'<p class="alert" id="problem" role="alert">{escape(problem)}</p>\n' if problem else ""
    content = _SIGN_IN.substitute(
        client=escape(client),
        csrf=escape(csrf),
        username=escape(username),
        alert=alert,
        described=' aria-describedby="problem" aria-invalid="true"' if problem else "",
        username_focus="" if username else " autofocus",
        password_focus=" autofocus" if username else "",
    )
    return _page("Sign in", pool, content)


def problem(*, pool: str, title: str, error: str, explanation: str) -> str:
    """Return a page that says what is wrong with a request."""
    content = _PROBLEM.substitute(title=escape(title), error=escape(error), explanation=escape(explanation))
    return _page(title, pool, content)


def _page(title: str, pool: str, content: str) -> str:
    return _PAGE.substitute(title=escape(title), pool=escape(pool), content=content)
