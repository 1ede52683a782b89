"""A client that others wrote for the real registry works with the simulated one."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

from loadtest.registry.book.world import DEFAULT_PASSWORD, DEFAULT_USERNAME
from tests.support.registry_world import RegistryWorld, item, key

CLIENT = Path(__file__).parents[2] / "e2e" / "clients" / "iys"
PHONE = {"recipient": "+905321234567", "type": "MESAJ"}


async def run(folder: Path, *command: str, stdin: str = "") -> str:
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=folder,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    async with asyncio.timeout(90):
        output, errors = await process.communicate(stdin.encode())
    assert process.returncode == 0, errors.decode()
    return output.decode()


async def test_the_client_from_npm_logs_in_adds_and_asks(world: RegistryWorld, tmp_path: Path) -> None:
    """iys-api posts its whole account object for a token, and reads receipts, statuses and refusals."""
    npm, node = shutil.which("npm"), shutil.which("node")
    assert npm is not None, "npm is missing: sh config/requirements/system-packages.sh"
    assert node is not None, "nodejs is missing: sh config/requirements/system-packages.sh"
    shutil.copytree(CLIENT, tmp_path / "client")
    quiet = ("--ignore-scripts", "--prefer-offline", "--no-audit", "--no-fund", "--no-update-notifier")
    await run(tmp_path / "client", npm, "ci", *quiet)
    account = {
        "grant_type": "password",
        "username": DEFAULT_USERNAME,
        "password": DEFAULT_PASSWORD,
        "iysCode": 600123,
        "brandCode": 600123,
    }
    calls = [
        ["set_status", item(**PHONE)],
        ["get_status", key(**PHONE)],
        ["set_status", item(recipient="b@example.com", status="RET")],
        ["set_status", item(**PHONE, status="RET", consentDate="2026-11-18 11:00:00")],
        ["get_status", key(**PHONE)],
        ["get_status", key(recipient="nobody@example.com")],
    ]
    order = {"url": world.server.url, "account": account, "calls": calls}
    fates: list[dict[str, Any]] = json.loads(await run(tmp_path / "client", node, "call.js", stdin=json.dumps(order)))
    assert [each["status"] for each in fates] == [200, 200, 400, 200, 200, 200]
    assert fates[0]["data"]["transactionId"] == fates[1]["data"]["transactionId"]
    assert fates[2]["data"]["errors"][0]["code"] == "H175"
    assert [fates[1]["data"]["status"], fates[4]["data"]["status"], fates[5]["data"]] == ["ONAY", "RET", {}]
