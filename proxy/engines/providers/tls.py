"""TLS contexts of upstreams that have an authority or a client certificate of their own."""

import asyncio
import logging
import ssl
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from proxy.core.config import TlsFiles

log = logging.getLogger("tokenthrift.proxy")
# Certificates are renewed while workers run; their files are looked at this often.
RECHECK_SECONDS: Final = 10.0
READ_TIMEOUT_SECONDS: Final = 5.0  # a network's folder may hang
MAX_FILE_BYTES: Final = 4 * 1024 * 1024
MAX_CONTEXTS: Final = 1_000

# (field, modified at in ns, bytes) of each file.
FileVersions = tuple[tuple[str, int, int], ...]


class TlsFileError(ValueError):
    """A file cannot be used. `field`: which of TlsFiles; the message names its path."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


def load_tls_context(files: TlsFiles) -> ssl.SSLContext:
    """Build the context of these files. Reads them; raises TlsFileError."""
    read_file_versions(files)
    context = _load_authorities(files.ca)
    if files.certificate:
        _load_certificate(context, files)
    elif files.key:
        raise TlsFileError("certificate", "Is needed beside the file of its key.")
    return context


def read_file_versions(files: TlsFiles) -> FileVersions:
    """Return what tells whether a file was replaced. Raises TlsFileError."""
    found = []
    for field in ("ca", "certificate", "key"):
        name: str = getattr(files, field)
        if not name:
            continue
        if not name.startswith("/") or not name.isprintable():
            raise TlsFileError(field, "Must be an absolute path, such as /etc/ssl/own-ca.pem.")
        try:
            stat, is_file = Path(name).stat(), Path(name).is_file()
        except OSError as error:
            raise TlsFileError(field, f"{name} cannot be read: {error.strerror}.") from error
        # Of a pipe the end would never come.
        if not is_file or stat.st_size > MAX_FILE_BYTES:
            text = f"{name} must be a file of {MAX_FILE_BYTES // 1024 // 1024} MB at most."
            raise TlsFileError(field, text)
        found.append((field, stat.st_mtime_ns, stat.st_size))
    return tuple(found)


def _load_authorities(ca: str) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=ca or None)
    except (ssl.SSLError, ValueError) as error:
        text = f"{ca} holds no certificate in PEM form (-----BEGIN CERTIFICATE-----)."
        raise TlsFileError("ca", text) from error
    except OSError as error:
        raise TlsFileError("ca", f"{ca} cannot be read: {error.strerror}.") from error


def _load_certificate(context: ssl.SSLContext, files: TlsFiles) -> None:
    try:
        # Without a password OpenSSL would ask for one at the terminal, and wait.
        context.load_cert_chain(files.certificate, files.key or None, password=lambda: "")
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            text = f"{files.certificate} is not the certificate of this key."
        else:
            text = (
                f"{files.certificate} must hold a certificate and "
                f"{files.key or 'the same file'} its key without a password, in PEM form."
            )
        raise TlsFileError("certificate", text) from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or type(error).__name__
        text = f"{files.certificate} or its key cannot be read: {reason}."
        raise TlsFileError("certificate", text) from error


@dataclass(slots=True)
class _LoadedContext:
    context: ssl.SSLContext
    versions: FileVersions
    checked_at: float


class TlsContexts:
    """The contexts in use, each loaded anew when one of its files is replaced."""

    def __init__(self) -> None:
        self._contexts: dict[TlsFiles, _LoadedContext] = {}
        self._lock = asyncio.Lock()

    async def get_context(self, files: TlsFiles) -> ssl.SSLContext:
        """Return the context of these files.

        Raises TlsFileError or TimeoutError if it never was loaded.
        """
        found = self._contexts.get(files)
        if found is None or time.monotonic() - found.checked_at > RECHECK_SECONDS:
            async with self._lock:  # one request looks, others wait the moment
                found = await self._refresh_context(files)
        return found.context

    async def _refresh_context(self, files: TlsFiles) -> _LoadedContext:
        found = self._contexts.get(files)
        if found is not None and time.monotonic() - found.checked_at <= RECHECK_SECONDS:
            return found
        try:
            async with asyncio.timeout(READ_TIMEOUT_SECONDS):
                versions = await asyncio.to_thread(read_file_versions, files)
                if found is None or versions != found.versions:
                    context = await asyncio.to_thread(load_tls_context, files)
                    found = _LoadedContext(context, versions, 0.0)
        except (TlsFileError, TimeoutError) as error:
            if found is None:
                raise
            # Half-way through a renewal: what was loaded is as good as it was.
            log.error("a certificate stays as it was loaded before: %s", error or "no answer")
        found.checked_at = time.monotonic()
        while len(self._contexts) >= MAX_CONTEXTS and files not in self._contexts:
            del self._contexts[next(iter(self._contexts))]
        self._contexts[files] = found
        return found
