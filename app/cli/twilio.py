"""``trunkline twilio``: the carrier's account."""

from __future__ import annotations

from typing import Annotated

import typer
import uvloop

from app.cli.settings import start_settings
from telephony.carriers.twilio.rest import TwilioRest
from telephony.carriers.twilio.signature import TwilioCredentials

cli = typer.Typer(help="The Twilio account.", no_args_is_help=True)


@cli.callback()
def _group() -> None:
    pass


@cli.command("connect")
def connect(
    number: Annotated[str, typer.Argument(help="A number you bought, in E.164: +15551234567")],
) -> None:
    """Point a bought number's voice webhook at this server's public URL."""
    settings, _ = start_settings()
    if not settings.public_url.startswith("https://"):
        raise SystemExit(
            "trunkline: TRUNKLINE_PUBLIC_URL must be the https origin at which Twilio reaches this server"
        )
    if not (number.startswith("+") and number[1:].isdigit()):
        raise SystemExit(f"trunkline: {number} is not a number in E.164, such as +15551234567")
    twilio = settings.twilio
    rest = TwilioRest(
        TwilioCredentials(twilio.account_sid, twilio.auth_token.get_secret_value()), twilio.api_url
    )
    webhook = f"{settings.origin}/voice/twilio/incoming"
    uvloop.run(
        rest.connect_number(number, voice_url=webhook, status_url=f"{settings.origin}/voice/twilio/status")
    )
    print(f"{number} now calls {webhook}")
