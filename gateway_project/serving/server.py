"""Run the ASGI application with uvicorn, in one process or several."""

import socket
import sys

import uvicorn
from django.conf import settings

from gateway_project.serving.worker_supervisor import supervise_workers
from stats.monitoring import gauges

# Seconds; longer than the SDKs' pools keep an idle connection, so that none is closed while a
# request is sent.
KEEP_ALIVE_SECONDS = 75


def bind_listener(host: str, port: int) -> socket.socket:
    """Bind a socket to the address without listening yet. Raises OSError."""
    family, kind, protocol, _, address = socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.set_inheritable(True)
    except OSError:
        listener.close()
        raise
    return listener


def run_server(listener: socket.socket, workers: int) -> bool:
    """Serve until SIGINT or SIGTERM; False if the application did not start."""
    alone = workers == 1
    gauges.WORKERS_WANTED.set(workers)
    config = uvicorn.Config(
        "gateway_project.asgi:application"
        if alone
        else "gateway_project.serving.worker_process:application",
        loop="uvloop" if alone else "gateway_project.serving.connection_balancer:Loop",
        http="gateway_project.serving.connection:BoundedConnection"
        if alone
        else "gateway_project.serving.connection_balancer:Connection",
        lifespan="on",
        workers=workers,
        log_config=settings.LOGGING,
        access_log=False,
        server_header=False,
        proxy_headers=False,  # Django's pages alone look at them: gateway_project.asgi
        ws_max_size=1024,  # bytes of a message: the dashboard's socket receives none
        timeout_graceful_shutdown=settings.SHUTDOWN_SECONDS,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_worker_healthcheck=30,  # a worker loads its models before it answers
    )
    if not alone:
        supervise_workers(config, listener)
        return True
    server = uvicorn.Server(config)
    try:
        server.run([listener])
    except KeyboardInterrupt:
        sys.exit(0)
    return server.started
