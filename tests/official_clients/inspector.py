"""What MCP Inspector's command line can do with a server: it lists and calls, and shows what it was answered."""

from __future__ import annotations

import json
import subprocess
import tempfile
from typing import TYPE_CHECKING, Any

from support.clean_environment import clean_environment

if TYPE_CHECKING:
    from pathlib import Path

CLI = "node_modules/@modelcontextprotocol/inspector/clients/launcher/build/index.js"


def run(node: Path, home: Path, url: str, token: str, era: str) -> dict[str, object]:
    """Return what it saw; each method is a process, and a session, of its own."""

    def asked(*arguments: str) -> Any:
        with tempfile.TemporaryDirectory() as own:
            command = [str(node), str(home / CLI), "--cli", url, "--transport", "http", "--protocol-era", era]
            command += ["--header", f"Authorization: Bearer {token}", "--format", "json", "--quiet"]
            done = subprocess.run(
                [*command, *arguments],
                env=clean_environment() | {"HOME": own},
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=60,
                check=False,
            )
        try:
            return json.loads(done.stdout)
        except ValueError:
            return {"error": f"{done.stdout}{done.stderr}"}

    def said(tool: str) -> str:
        answer = asked("--method", "tools/call", "--tool-name", tool)
        content = answer.get("result", answer).get("content")
        return str(content[0].get("text", content[0]["type"])) if content else str(answer)

    listed = asked("--method", "tools/list")
    tools = listed.get("result", listed).get("tools")
    names = [tool["name"] for tool in tools] if tools else str(listed)
    return {"list": names, "call": said("test_simple_text"), "denied": said("test_image_content")}
