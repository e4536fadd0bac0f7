"""`/healthz` and `/readyz` for load balancers, `/metrics` for Prometheus."""

import hmac
import ipaddress

from flask import Blueprint, Response, abort, current_app, jsonify, request
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

from skymailing.clock import utcnow
from skymailing.extensions import limiter
from skymailing.monitoring import checks
from skymailing.monitoring.metrics import MetricsCollector

health_bp = Blueprint("health", __name__)
metrics_bp = Blueprint("metrics", __name__)
BLUEPRINTS = (health_bp, metrics_bp)

# Without these, pages still work and nothing is lost, but letters are delayed.
DEGRADING_CHECKS = (checks.check_redis, checks.check_scheduler, checks.check_workers, checks.check_mail_route)


@health_bp.get("/healthz")
def live() -> Response:
    """Return 200 while the process is alive; check nothing else."""
    return Response("ok\n", mimetype="text/plain")


@health_bp.get("/readyz")
def ready() -> tuple[Response, int]:
    """Report each component: 503 without a usable database, otherwise 200, even if degraded.

    The reasons name hosts and faults, so only requests from this host or with METRICS_TOKEN get them.
    """
    database = checks.check_database()
    found = [database, *(check() for check in DEGRADING_CHECKS)] if database.is_ok else [database]
    if not database.is_ok:
        status = "unavailable"
    elif all(check.is_ok for check in found):
        status = "ready"
    else:
        status = "degraded"
    parts: dict[str, dict[str, bool | str]] = {check.name: {"ok": check.is_ok} for check in found}
    if _has_token() or _is_from_this_host():
        for check in found:
            parts[check.name]["reason"] = check.finding
    return jsonify(status=status, checks=parts), 200 if database.is_ok else 503


@metrics_bp.get("/metrics")
@limiter.exempt
def show() -> Response:
    """Return the metrics in the Prometheus text format; abort with 404 if they may not be read."""
    if not _may_read():
        abort(404)
    registry = CollectorRegistry(auto_describe=False)
    registry.register(MetricsCollector(utcnow()))
    return Response(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)


def _may_read() -> bool:
    return _has_token() if current_app.config["METRICS_TOKEN"] else _is_from_this_host()


def _has_token() -> bool:
    token = current_app.config["METRICS_TOKEN"] or ""
    given = request.headers.get("Authorization", "").removeprefix("Bearer ")
    return bool(token) and hmac.compare_digest(given.encode(), token.encode())


def _is_from_this_host() -> bool:
    # Requests through a proxy on this machine can come from anyone.
    is_direct = not request.headers.get("X-Forwarded-For") and not request.headers.get("Forwarded")
    return is_direct and ipaddress.ip_address(request.remote_addr or "0.0.0.0").is_loopback  # noqa: S104
