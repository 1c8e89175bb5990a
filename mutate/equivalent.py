"""Changes that make no difference which a test could see, and why."""

EQUIVALENT: dict[tuple[str, str, str], str] = {}
