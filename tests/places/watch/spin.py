"""Two seconds of work, or as much of them as there is."""

import time

from load import seen

end = time.monotonic() + 2
while time.monotonic() < end:
    pass
seen()
