"""One finished day: counts, file, hash, time stamp, and the provider's word."""

from __future__ import annotations

import csv
import hashlib
import io
import subprocess
from pathlib import Path

from tests.support.registry_world import BRAND, CONSENTS, RegistryWorld, item

DAY = "2026-11-18"
FILE = f"{BRAND}/changes/{DAY}/file"
AGREEMENT = f"{BRAND}/agreements/{DAY}"
TO_MIDNIGHT = 12 * 3600


async def a_day(world: RegistryWorld) -> None:
    """Two consents, a refusal by each side, a consent given anew."""
    await world.call("POST", CONSENTS, item())
    await world.call("POST", CONSENTS, item(recipient="b@example.com"))
    await world.advance(10)
    await world.call("POST", CONSENTS, item(recipient="b@example.com", consentDate="2026-11-18 11:00:00"))
    await world.advance(10)
    await world.call("POST", CONSENTS, item(status="RET", consentDate="2026-11-18 11:00:00"))
    await world.citizen(recipient="b@example.com")


async def test_the_summary_counts_movements_by_channel_and_side(world: RegistryWorld) -> None:
    """A repeated consent is in the total only; what waits in a bulk request is pending."""
    await a_day(world)
    await world.call("POST", CONSENTS, item(recipientType="TACIR", recipient="c@example.com"))
    await world.sim("PUT", "settings", {"bulk_delay_s": 86_400.0})
    await world.call("POST", CONSENTS + "/request", [item(recipient="d@example.com")])
    await world.advance(TO_MIDNIGHT)
    await world.login()
    reply = await world.call("GET", f"{BRAND}/changes/{DAY}/recipients/BIREYSEL")
    assert reply.body == {
        "changeStats": [
            {
                "type": "EPOSTA",
                "consents": [
                    {"source": "HS", "approval": 2, "rejection": 1, "pending": 1, "total": 4},
                    {"source": "IYS", "approval": 0, "rejection": 1, "pending": 0, "total": 1},
                ],
            }
        ]
    }
    empty = await world.call("GET", f"{BRAND}/changes/2026-11-17/recipients/BIREYSEL")
    assert empty.body == {"changeStats": []}


async def test_the_file_its_hash_and_the_agreement(world: RegistryWorld) -> None:
    """SHA-384 over the whole file, once it is complete; the word is for ever."""
    await a_day(world)
    await world.advance(TO_MIDNIGHT)
    await world.login()
    assert (await world.call("GET", AGREEMENT)).body["processStatus"] == "queued"
    assert (await world.call("GET", FILE)).status == 204
    await world.advance(700)
    assert (await world.call("GET", AGREEMENT)).body["processStatus"] == "inprogress"
    await world.advance(700)
    content = (await world.call("GET", FILE)).body
    assert content.startswith(b"creationDate,transactionId,recipient,recipientType,type,status,consentDate,source\n")
    assert content.endswith(b"\n")
    assert b"\r" not in content
    lines = list(csv.DictReader(io.StringIO(content.decode())))
    assert len(lines) == 5
    assert lines == sorted(lines, key=lambda each: (each["creationDate"], each["transactionId"]))
    assert {each["source"] for each in lines} == {"HS_WEB", "IYS_WEB"}
    shown = (await world.call("GET", AGREEMENT)).body
    assert shown == {
        "processStatus": "completed",
        "hashValue": hashlib.sha384(content).hexdigest(),
        "hashMethod": "SHA-384",
        "agreementStatus": False,
    }
    saved = await world.call("PUT", AGREEMENT, {"agreementStatus": True})
    assert saved.body == {"agreementCaptured": True}
    assert (await world.call("GET", AGREEMENT)).body["agreementStatus"] is True


async def test_a_day_without_movement_has_nothing_to_agree_on(world: RegistryWorld) -> None:
    """204 for file, hash, time stamp and saving alike."""
    other = f"{BRAND}/agreements/2026-11-17"
    for method, path, body in (
        ("GET", other, None),
        ("PUT", other, {"agreementStatus": True}),
        ("GET", f"{BRAND}/changes/2026-11-17/file", None),
        ("GET", other + "/timestamp", None),
    ):
        assert (await world.call(method, path, body)).status == 204


async def test_the_time_stamp_names_the_files_hash(world: RegistryWorld, tmp_path: Path) -> None:
    """It has the form of RFC 3161, as OpenSSL reads it."""
    await a_day(world)
    await world.advance(TO_MIDNIGHT + 1400)
    await world.login()
    reply = await world.call("GET", AGREEMENT + "/timestamp")
    path = tmp_path / "day.tsr"
    path.write_bytes(reply.body)
    read = subprocess.run(
        ["openssl", "ts", "-reply", "-in", str(path), "-text"], capture_output=True, text=True, check=False, timeout=30
    )
    assert "Status: Granted." in read.stdout
    assert "Hash Algorithm: sha384" in read.stdout
    digest = hashlib.sha384((await world.call("GET", FILE)).body).hexdigest()
    shown = "".join(
        line.partition(" - ")[2].split("   ")[0].replace("-", " ").replace(" ", "")
        for line in read.stdout.splitlines()
        if " - " in line
    )
    assert digest in shown
