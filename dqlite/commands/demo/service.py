"""
What the demo answers: keys and values in the table `model`, and the state of the cluster.

Statuses and texts of keys are go-dqlite 3.0.4's: a missing key is a 500 with its words.

Source: go-dqlite 3.0.4, `cmd/dqlite-demo`.
"""

import json
import logging
from http import HTTPStatus

from dqlite.app.app import App
from dqlite.app.health import HealthReport
from dqlite.commands.connections import Connections
from dqlite.commands.demo.metrics import CONTENT_TYPE, Family, Requests, Sample, exposition
from dqlite.commands.members import ROLE_NAMES, health_json, member_json
from dqlite.commands.web import Answer, Request, Service
from dqlite.errors import Error
from dqlite.wire.schema import Role

log = logging.getLogger(__name__)

_SCHEMA = "CREATE TABLE IF NOT EXISTS model (key TEXT, value TEXT, UNIQUE(key))"
_QUERY = "SELECT value FROM model WHERE key = ?"
_UPDATE = "INSERT OR REPLACE INTO model(key, value) VALUES(?, ?)"

LEADER_TIMEOUT_S = 5.0

_JSON = "application/json"
_NO_ROWS = "sql: no rows in result set"


class KeyValues:
    """Reads and writes keys, from any thread."""

    def __init__(self, connections: Connections) -> None:
        """Create the table if there is none."""
        self._connections = connections
        with connections.lent() as connection:
            connection.execute(_SCHEMA)

    def get(self, key: str) -> str | None:
        """Return the value of a key, None if it has none."""
        row = self._connections.run(lambda lent: lent.execute(_QUERY, (key,)).fetchone())
        return None if row is None else str(row[0])

    def put(self, key: str, value: str) -> None:
        """Set the value of a key."""
        self._connections.run(lambda lent: lent.execute(_UPDATE, (key, value)))

    def close(self) -> None:
        """Close the connections that nobody uses."""
        self._connections.close()


def key_values(store: KeyValues) -> Service:
    """Return the service of keys and values: GET and PUT of `/<key>`."""

    def serve(request: Request) -> Answer:
        key = request.path.lstrip("/")
        try:
            match request.method:
                case "GET":
                    value = store.get(key)
                    return Answer(value) if value is not None else _failed(_NO_ROWS)
                case "PUT":
                    store.put(key, request.body.decode())
                    return Answer("done")
                case _:
                    return _failed("unsupported method")
        except UnicodeDecodeError:
            return Answer("expected a value in UTF-8\n", HTTPStatus.BAD_REQUEST)
        except Error as error:
            return _failed(str(error))

    return serve


def _failed(reason: str) -> Answer:
    return Answer(f"{reason}\n", HTTPStatus.INTERNAL_SERVER_ERROR)


def operations(app: App, requests: Requests, inner: Service) -> Service:
    """Wrap a service: `/health`, `/metrics`, `/cluster`, `/leader` are no keys any more."""
    pages = {
        "/health": lambda: _health(app.health()),
        "/metrics": lambda: _metrics(app, requests),
        "/cluster": lambda: _cluster(app),
        "/leader": lambda: _leader(app),
    }

    def serve(request: Request) -> Answer:
        page = pages.get(request.path)
        if page is None or request.method not in ("GET", "HEAD"):
            return inner(request)
        try:
            return page()
        except Error as error:
            return Answer(f"{error}\n", HTTPStatus.SERVICE_UNAVAILABLE)

    return serve


def _health(report: HealthReport) -> Answer:
    status = HTTPStatus.OK if report.is_available else HTTPStatus.SERVICE_UNAVAILABLE
    return Answer(json.dumps(health_json(report)) + "\n", status, _JSON)


def _metrics(app: App, requests: Requests) -> Answer:
    families = (*requests.families(), *cluster_families(app.health(), app.address))
    return Answer(exposition(families), content_type=CONTENT_TYPE)


def _cluster(app: App) -> Answer:
    with app.leader(LEADER_TIMEOUT_S) as leader:
        members = leader.cluster()
    return Answer(json.dumps([member_json(each) for each in members]) + "\n", content_type=_JSON)


def _leader(app: App) -> Answer:
    with app.leader(LEADER_TIMEOUT_S) as leader:
        return Answer(f"{leader.address}\n")


def cluster_families(report: HealthReport, address: str) -> tuple[Family, ...]:
    """Return gauges of the cluster, as the node at `address` sees it."""
    by_role = dict.fromkeys(Role, 0)
    for member in (*report.online, *report.offline):
        by_role[member.role] += 1
    return (
        _gauge("dqlite_node_is_leader", "1 if this node leads.", report.leader == address),
        _gauge("dqlite_cluster_has_leader", "1 if a leader answers.", report.leader is not None),
        Family(
            "dqlite_cluster_members",
            "gauge",
            "Members of the cluster by role.",
            tuple(Sample(count, {"role": ROLE_NAMES[role]}) for role, count in by_role.items()),
        ),
        _gauge("dqlite_cluster_members_online", "Members that answer.", len(report.online)),
        _gauge("dqlite_cluster_voters_online", "Voters that answer.", report.online_voters),
        _gauge(
            "dqlite_cluster_quorum_margin",
            "Voters that may fail before nothing can be written; negative if that is so.",
            report.quorum_margin,
        ),
    )


def _gauge(name: str, text: str, value: float) -> Family:
    return Family(name, "gauge", text, (Sample(int(value)),))
