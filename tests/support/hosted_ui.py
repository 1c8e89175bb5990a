"""A person at a browser: follows the address, fills in Cognito's form, sees what the last redirect shows."""

from __future__ import annotations

import re
import sys

import httpx

from support.plain_http import NO_CERTIFICATES


def sign_in(address: str, username: str, password: str, *, action: str = "sign-in") -> httpx.Response:
    """Sign in at the address, and return the page that the person sees in the end."""
    with httpx.Client(trust_env=False, follow_redirects=True, verify=NO_CERTIFICATES) as browser:
        form = browser.get(address)
        form.raise_for_status()
        token = re.search(r'name="_csrf" value="([^"]+)"', form.text)
        assert token, form.text
        fields = {"_csrf": token[1], "username": username, "password": password, "action": action}
        return browser.post(form.url, data=fields)


if __name__ == "__main__":
    sign_in(sys.argv[3], sys.argv[1], sys.argv[2]).raise_for_status()
