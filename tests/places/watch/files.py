"""A process that opens files until it may open no more."""

import errno
import os
import resource

from load import seen, tell

LIMIT = 64

# What was inherited above the limit would count on top of it.
os.closerange(LIMIT, 4096)
resource.setrlimit(resource.RLIMIT_NOFILE, (LIMIT, LIMIT))
try:
    while True:
        os.open("/dev/null", os.O_RDONLY)
except OSError as error:
    failed = errno.errorcode[error.errno]
seen()
tell(pid=os.getpid(), error=failed, limit=LIMIT)
