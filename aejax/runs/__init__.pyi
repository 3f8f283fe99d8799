from .checkpoints import (
    Saving as Saving,
)
from .files import (
    read_json as read_json,
)
from .files import (
    write_atomically as write_atomically,
)
from .metric_log import (
    validation_losses as validation_losses,
)
from .provenance import (
    hardware as hardware,
)
from .provenance import (
    versions as versions,
)
from .run import (
    FRESH as FRESH,
)
from .run import (
    NEWEST as NEWEST,
)
from .run import (
    Run as Run,
)
from .template import (
    checkpoint_template as checkpoint_template,
)
from .timing import (
    Profile as Profile,
)
from .timing import (
    Recording as Recording,
)
from .timing import (
    record_duration as record_duration,
)
from .timing import (
    span as span,
)
