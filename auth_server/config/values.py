"""Values of settings, read from their text: the value, or ValueError with the remedy."""

from __future__ import annotations

import ipaddress
import math
import re
from collections import Counter
from itertools import pairwise
from urllib.parse import urlsplit

_HOST = re.compile(r"(?=.{1,253}$)[a-z0-9](?:[a-z0-9_.-]*[a-z0-9])?", re.ASCII)
_DEFAULT_PORTS = {"http": 80, "https": 443}

_SHOWN = 60
_SIZES = (1024, 64 * 1024**2)

MIN_SECRET_BYTES = 32
# Below what random keys of 32 bytes show: so short a text holds its characters less evenly than chance will.
_MIN_SECRET_BITS = 112
_MIN_STEP_BITS = 64
_MIN_HEX_DIGITS = 64
# What templates of .env files say, without their punctuation; long enough never to turn up in random text.
_PLACEHOLDER = re.compile(
    r"change(?:me|this|it)|replace(?:me|this|with)|your(?:very|super|secret|secure|random|key|own)"
    r"|placeholder|insertyour|stringhere|secrethere|keyhere|donotuse|notsosecret|insecure",
)


def integer(text: str, low: int, high: int) -> int:
    """Return a whole number between the bounds, both included."""
    if not re.fullmatch(r"[0-9]{1,18}", text, re.ASCII):
        raise ValueError(f"expected a whole number from {low} to {high}, without a unit")
    if not low <= (value := int(text)) <= high:
        raise ValueError(f"expected {low} to {high}, found {value}")
    return value


def size(text: str) -> int:
    """Return a number of bytes, written as nginx does: 4m, 512k or plain."""
    match = re.fullmatch(r"([1-9][0-9]{0,9})([km]?)", text.lower(), re.ASCII)
    value = int(match[1]) * {"": 1, "k": 1024, "m": 1024**2}[match[2]] if match else 0
    if not _SIZES[0] <= value <= _SIZES[1]:
        raise ValueError("expected a size from 1k to 64m, such as 512k or 4m")
    return value


def items(text: str) -> tuple[str, ...]:
    """Return the elements of a list by comma; an empty one or a repeated one is an error."""
    found = tuple(item.strip() for item in text.split(","))
    if "" in found:
        raise ValueError("a list by comma with an empty element; remove the comma too many")
    if len(set(found)) < len(found):
        raise ValueError("a list by comma with an element that stands twice; keep one")
    return found


def host(text: str) -> str:
    """Return `host` or `host:port` in lower case, as a Host header has it."""
    value = text.lower()
    name, port = _host_and_port(value)
    if not (_HOST.fullmatch(name) or _is_ipv6(name)) or not re.fullmatch(r"|:[0-9]{1,5}", port, re.ASCII):
        raise ValueError(
            "expected host or host:port, such as gateway.example.com:8443, without https:// or path"
        )
    if port and not 0 < int(port[1:]) < 65536:  # noqa: PLR2004 - the ports there are
        raise ValueError("the port must be 1 to 65535")
    return value


def url(text: str) -> str:
    """Return an absolute http or https URL as it was written, without user info, query and fragment."""
    if not re.fullmatch(r"[!-~]+", text) or "\\" in text:
        raise ValueError("a URL holds no spaces, backslashes or characters outside ASCII")
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise ValueError("not a URL; its host or port cannot be read") from None
    if parts.scheme not in _DEFAULT_PORTS:
        raise ValueError("expected a URL that starts with https:// or http://")
    if "@" in parts.netloc:
        raise ValueError("a URL with a user name or password is not accepted; remove everything up to the @")
    if "?" in text or "#" in text:
        raise ValueError("a URL with a query or fragment is not accepted; remove it from the ? or # on")
    name = parts.hostname or ""
    if not (_HOST.fullmatch(name) or _is_ipv6(f"[{name}]")) or port == 0 or parts.netloc.endswith(":"):
        raise ValueError("the URL needs a host, such as https://gateway.example.com")
    return text


def origin(text: str) -> str:
    """Return scheme, host and port of a URL that has nothing else, as browsers write an Origin."""
    parts = urlsplit(url(text))
    if parts.path not in {"", "/"}:
        raise ValueError(
            "expected scheme, host and port alone, such as https://gateway.example.com; remove the path"
        )
    name = parts.hostname or ""
    shown = f"[{name}]" if ":" in name else name
    port = "" if parts.port in {None, _DEFAULT_PORTS[parts.scheme]} else f":{parts.port}"
    return f"{parts.scheme}://{shown}{port}"


def is_exposed(text: str) -> bool:
    """Tell whether this URL goes in clear text to another machine."""
    parts = urlsplit(text)
    name = parts.hostname or ""
    if parts.scheme != "http" or name == "localhost" or name.endswith(".localhost"):
        return False
    try:
        return not ipaddress.ip_address(name).is_loopback
    except ValueError:
        return True


def choice(text: str, known: tuple[str, ...]) -> str:
    """Return the text, which must be one of those known."""
    if text not in known:
        raise ValueError(f"expected {' or '.join(known)}, found {shown(text)}")
    return text


def shown(text: str) -> str:
    """Return a value fit for a message: no controls, not long."""
    printable = "".join(char if char.isprintable() else "?" for char in text)
    return printable if len(printable) <= _SHOWN else f"{printable[:_SHOWN]}…"


def check_secret(secret: str) -> None:
    """Raise ValueError where this signing key could be guessed; the message does not hold it."""
    if len(secret.encode()) < MIN_SECRET_BYTES:
        raise ValueError(f"shorter than {MIN_SECRET_BYTES} bytes")
    if re.fullmatch(r"[0-9a-fA-F]+", secret) and len(secret) < _MIN_HEX_DIGITS:
        raise ValueError(
            f"hex of fewer than {_MIN_HEX_DIGITS} digits, which is less than {MIN_SECRET_BYTES} bytes"
        )
    if _PLACEHOLDER.search(re.sub(r"[^a-z]", "", secret.lower())):
        raise ValueError("a placeholder from a template")
    if _is_regular(secret):
        raise ValueError("too regular: it repeats itself, counts up, or uses few characters")


def _is_regular(secret: str) -> bool:
    """Tell whether few characters, a block that repeats, or small steps (`abcd…`) make up most of it."""
    period = next(size for size in range(1, len(secret) + 1) if secret[size:] == secret[:-size])
    steps = "".join(chr(0x10000 + ord(b) - ord(a)) for a, b in pairwise(secret))
    return _shannon(secret[:period]) < _MIN_SECRET_BITS or _shannon(steps) < _MIN_STEP_BITS


def _shannon(text: str) -> float:
    """Return the bits that the text holds if its characters are drawn as often as they occur."""
    return -sum(count * math.log2(count / len(text)) for count in Counter(text).values())


def _host_and_port(value: str) -> tuple[str, str]:
    if value.startswith("["):
        name, bracket, port = value.partition("]")
        return name + bracket, port
    name, colon, port = value.partition(":")
    return name, colon + port


def _is_ipv6(name: str) -> bool:
    try:
        return name.startswith("[") and name.endswith("]") and bool(ipaddress.IPv6Address(name[1:-1]))
    except ValueError:
        return False
