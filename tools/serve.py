"""Run the model server, the recommender and the page until Ctrl-C. Trains first if nothing is published yet."""

from __future__ import annotations

import argparse
import shlex
import signal
import sys
from pathlib import Path

from recommender_service.client.channel import AccessError
from tools.dev_certs import page_settings
from tools.processes import Server, ServerError
from tools.servers import HOST, page
from tools.stack import PortsTaken, Stack, check_ports_free, running_stack, train_release
from trainer.data.movielens import DEFAULT_DATASET

ARTIFACTS = Path("artifacts")
SERVICE = "recommender.v1.RecommenderService"


def main(argv: list[str]) -> int:
    """Returns the exit status: 0 after Ctrl-C or SIGTERM, 1 if a port is taken or a server ends, or the trainer's."""
    parser = argparse.ArgumentParser(prog="python -m tools.serve", description=__doc__)
    parser.add_argument("--dataset", default=DEFAULT_DATASET)
    parser.add_argument("--recommender-port", type=int, default=50051)
    parser.add_argument("--model-server-port", type=int, default=8500)
    parser.add_argument("--web-port", type=int, default=8080)
    parser.add_argument("--certs", type=Path, help="folder of `make dev-certs`: serve with TLS and tokens")
    arguments = parser.parse_args(argv)
    ports = {
        "recommender": arguments.recommender_port,
        "model server": arguments.model_server_port,
        "page": arguments.web_port,
    }
    for number in (signal.SIGTERM, signal.SIGINT):  # a background job of a shell starts with SIGINT ignored
        signal.signal(number, signal.default_int_handler)
    try:
        check_ports_free(ports)
        status = train_release(arguments.dataset, ARTIFACTS, "--if-none")
        if status != 0:
            return status
        _serve(ports, arguments.certs)
    except PortsTaken as error:
        print(f"error: {error}. Stop it, or choose other ports: {_other_ports(ports)}", file=sys.stderr)
        return 1
    except (ServerError, AccessError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nstopped")
    return 0


def _serve(ports: dict[str, int], certs: Path | None) -> None:
    """Return never; raises ServerError or AccessError."""
    with running_stack(ARTIFACTS, ports["recommender"], ports["model server"], certs) as stack:
        settings = {"WEB_ADDRESS": f"{HOST}:{ports['page']}"} | ({} if certs is None else page_settings(certs))
        with page(stack.recommender, ARTIFACTS / "logs" / "page.log", **settings) as (web, address):
            _introduce(stack, web, address, certs)
            stack.watch(web)


def _introduce(stack: Stack, web: Server, address: str, certs: Path | None) -> None:
    """Print where the servers listen, and commands to call them with."""
    grpcurl, client = "-plaintext", ""
    if certs is not None:
        pem = {name: shlex.quote(str(certs / name)) for name in ("ca.pem", "client.pem", "client.key", "token")}
        grpcurl = f"-cacert {pem['ca.pem']} -cert {pem['client.pem']} -key {pem['client.key']}"
        grpcurl += f' -H "authorization: Bearer $(cat {pem["token"]})"'
        client = f" --tls-ca {pem['ca.pem']} --tls-cert {pem['client.pem']} --tls-key {pem['client.key']}"
        client += f" --token-file {pem['token']}"
    models, service = (server.process.pid for server in stack.servers)
    print(
        f"""
page          {address}, process {web.process.pid}
recommender   {stack.recommender}, process {service}
model server  {stack.model_server}, process {models}, {stack.model_server_kind}
logs          {ARTIFACTS}/logs/

grpcurl {grpcurl} -d '{{"user_id": 418, "limit": 5}}' {stack.recommender} {SERVICE}/Recommend
grpcurl {grpcurl} -d '{{"movie_id": 1, "limit": 5}}' {stack.recommender} {SERVICE}/SimilarMovies
{sys.executable} -m recommender_service.client --address {stack.recommender}{client} recommend 418 -n 5
{sys.executable} -m recommender_service.client --address {stack.recommender}{client} rate 418 heat 5

Ctrl-C stops everything.""",
        flush=True,
    )


def _other_ports(ports: dict[str, int]) -> str:
    recommender_port, model_server_port, web_port = (port + 10 for port in ports.values())
    return f"make serve RECOMMENDER_PORT={recommender_port} MODEL_SERVER_PORT={model_server_port} WEB_PORT={web_port}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
