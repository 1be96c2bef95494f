"""The server around the app: a port of its own, the address on the screen, a stop that lets stories end."""

import errno
import ipaddress
import socket
import threading

import uvicorn

from cli import UserError

GRACE = 3  # seconds that stories have to end once the server is asked to stop


def bind(host, port):
    """A listening socket. Raises UserError where the port is taken or the host is none of this machine's."""
    try:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # right after a stop, too
        listener.bind(address)
        listener.listen(128)
    except socket.gaierror:
        raise UserError(f"--host {host}: there is no such host; 127.0.0.1 is this machine") from None
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise UserError(f"port {port} is already in use; stop the other program or choose another: "
                            f"--port {port % 65535 + 1}") from None
        raise UserError(f"cannot listen on {host} port {port}: {error.strerror}") from None
    return listener


def address_of(listener):
    """The address to open in a browser: where it listens on every interface, this machine's own name."""
    host, port = listener.getsockname()[:2]
    if ipaddress.ip_address(host).is_unspecified:
        host = "127.0.0.1"
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def is_local(listener):
    """True where only this machine can reach the socket."""
    return ipaddress.ip_address(listener.getsockname()[0]).is_loopback


class Server(uvicorn.Server):
    """uvicorn, with two habits of ours: it says where it is once it serves, and it stops in order.

    Ctrl-C and SIGTERM ask for the same: no new connections, the stories that are being told get GRACE
    seconds to end, then the program ends with status 0. A second Ctrl-C ends it at once.
    """

    def __init__(self, app, listener):
        super().__init__(uvicorn.Config(app, log_level="error", access_log=False, server_header=False,
                                        ws="none", timeout_graceful_shutdown=GRACE + 3))
        self.listener = listener
        self.ready = threading.Event()

    def serve_forever(self):
        """Returns when the server has been asked to stop and has stopped."""
        self.run(sockets=[self.listener])

    def stop(self):
        """Asks it to stop."""
        self.should_exit = True

    async def main_loop(self):
        # The address is printed here, not at the end of startup(): who reads it may ask for a stop at once, and
        # between the two uvicorn would skip this method, and with it the stop in order.
        self.ready.set()
        print(f"The Storyteller is at {address_of(self.listener)}  (Ctrl-C stops it)", flush=True)
        await super().main_loop()
        print("stopping", flush=True)
        self.config.app.state.worker.stop(GRACE)

    def handle_exit(self, sig, frame):
        super().handle_exit(sig, frame)
        self._captured_signals.clear()  # uvicorn would raise them again, and end with their status
