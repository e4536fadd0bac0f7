"""The hosts and ports to which users may let us connect."""

import re

TLS_PORT = 443
# Lower ports belong to other services, which users could probe.
LEAST_OTHER_PORT = 1024
LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
# The last label must contain a letter. This excludes IP addresses, which rarely have certificates.
HOST = re.compile(rf"(?=.{{4,253}}$)(?:{LABEL}\.)+(?=[a-z0-9-]*[a-z]){LABEL}")
# Characters that are not escaped in a path or a query.
KEPT = "/?:@!$&'()*+,;=-._~%"
