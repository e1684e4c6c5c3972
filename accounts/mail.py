"""Send mail where an SMTP server is set, in the background.

The page that causes a mail never waits for it: how long it takes would tell who has an account.
"""

import logging
import threading
from collections.abc import Callable
from typing import Final

from django.conf import settings
from django.core.mail import EmailMessage
from django.db import connection

MAX_SENDERS: Final = 8  # threads of a worker that send at once
log = logging.getLogger(__name__)
_sender_slots = threading.BoundedSemaphore(MAX_SENDERS)


def is_mail_enabled() -> bool:
    return bool(settings.EMAIL_HOST)


def send_message(*, to: str, subject: str, text: str) -> None:
    """Send a text. Raises OSError or smtplib.SMTPException."""
    EmailMessage(subject, text, settings.DEFAULT_FROM_EMAIL, [to]).send()


def run_in_background(what: str, send: Callable[[], None]) -> None:
    """Run `send` in a thread of its own; what fails is in the log, under the name `what`."""
    if not _sender_slots.acquire(blocking=False):
        log.error("%s was not sent: %d mails are being sent already", what, MAX_SENDERS)
        return
    # A daemon: a mail server that hangs does not hold up the end of the worker.
    threading.Thread(target=_send, args=(what, send), daemon=True, name="mail").start()


def _send(what: str, send: Callable[[], None]) -> None:
    try:
        send()
    except Exception as error:  # whatever it is, it ends this mail alone
        log.error("%s was not sent: %s: %s", what, type(error).__name__, error)
    finally:
        connection.close()
        _sender_slots.release()
