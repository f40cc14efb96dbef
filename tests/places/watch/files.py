"""A process that opens files until it may open no more."""

import errno
import os
import resource

from load import seen, tell

LIMIT = 64

resource.setrlimit(resource.RLIMIT_NOFILE, (LIMIT, LIMIT))
try:
    while True:
        last = os.open("/dev/null", os.O_RDONLY)
except OSError as error:
    failed = errno.errorcode[error.errno]
# Waiting for a reading takes one.
os.close(last)
seen()
tell(pid=os.getpid(), error=failed, limit=LIMIT)
