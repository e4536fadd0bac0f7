"""Whether the service is alive and ready, for load balancers and monitors."""

from flask import Blueprint, Response, jsonify

from skymailing.monitoring import checks

bp = Blueprint("health", __name__)

# Without these the service still answers pages and loses nothing; letters wait.
DEGRADING = (checks.check_redis, checks.check_scheduler, checks.check_workers, checks.check_mail_route)


@bp.get("/healthz")
def live() -> Response:
    """Answer while the process lives; asks nobody else."""
    return Response("ok\n", mimetype="text/plain")


@bp.get("/readyz")
def ready() -> tuple[Response, int]:
    """Tell which parts are well: 503 without a usable database, else 200, perhaps degraded."""
    database = checks.check_database()
    found = [database, *(check() for check in DEGRADING)] if database.is_ok else [database]
    if not database.is_ok:
        status = "unavailable"
    elif all(check.is_ok for check in found):
        status = "ready"
    else:
        status = "degraded"
    parts = {check.name: {"ok": check.is_ok, "reason": check.finding} for check in found}
    return jsonify(status=status, checks=parts), 200 if database.is_ok else 503
