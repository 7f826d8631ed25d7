"""Serve the files of a run to a browser on this machine."""

import functools
import http.server
import threading
import urllib.parse
import webbrowser
from pathlib import Path

from rich.console import Console

from metroflux.errors import DataError

LOOPBACK = "127.0.0.1"


class _Quiet(http.server.SimpleHTTPRequestHandler):
    """Serves one folder; hidden files (the run's work) are not shown, requests are not printed."""

    def log_message(self, *args: object) -> None:
        """Print nothing."""

    def send_head(self):  # type: ignore[no-untyped-def]
        """Refuse hidden files and listings."""
        parts = urllib.parse.unquote(self.path.split("?")[0]).split("/")
        if any(part.startswith(".") for part in parts):
            self.send_error(404)
            return None
        return super().send_head()

    def end_headers(self) -> None:
        """Let the page load nothing from elsewhere, whatever a site's name may contain."""
        self.send_header("Content-Security-Policy", "default-src 'self' 'unsafe-inline' data: blob:")
        self.send_header("Cache-Control", "no-store")
        super().end_headers()


def page_server(folder: Path, port: int) -> http.server.ThreadingHTTPServer:
    """Return a server of a run's folder on the loopback interface; port 0 takes any.

    Raises
    ------
    DataError
        If the folder has no page.
    """
    if not (folder / "viewer" / "index.html").is_file():
        raise DataError(f"{folder}: no viewer/index.html; expected the folder of a finished run")
    handler = functools.partial(_Quiet, directory=str(folder.resolve()))
    try:
        return http.server.ThreadingHTTPServer((LOOPBACK, port), handler)
    except OSError as fault:
        raise DataError(f"port {port} on {LOOPBACK}: {fault.strerror}; choose another with --port") from None


def serve_folder(folder: Path, port: int, browser: bool, console: Console) -> None:
    """Serve a run until interrupted."""
    with page_server(folder, port) as server:
        url = f"http://{LOOPBACK}:{server.server_port}/viewer/index.html"
        console.print(f"{url}  (Ctrl-C ends)", markup=False, highlight=False)
        if browser:
            threading.Timer(0.5, webbrowser.open, [url]).start()
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            console.print("ended")
