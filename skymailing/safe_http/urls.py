"""Which hosts and ports users may make us contact."""

import re

TLS_PORT = 443
# Lower ports belong to other services, which users could probe.
LEAST_OTHER_PORT = 1024
LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
# The last label must contain a letter: this excludes IP addresses, for which hardly anyone has certificates.
HOST = re.compile(rf"(?=.{{4,253}}$)(?:{LABEL}\.)+(?=[a-z0-9-]*[a-z]){LABEL}")
# What may stay as it is in a path or a query; everything else is escaped.
KEPT = "/?:@!$&'()*+,;=-._~%"
