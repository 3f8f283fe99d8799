from .choices import (
    choose_parts as choose_parts,
)
from .choices import (
    part_choices as part_choices,
)
from .experiment import (
    Expected as Expected,
)
from .experiment import (
    Experiment as Experiment,
)
from .registry import (
    get as get,
)
from .registry import (
    names as names,
)
from .registry import (
    register as register,
)
from .serialization import (
    differences as differences,
)
from .serialization import (
    dumps as dumps,
)
from .serialization import (
    from_json as from_json,
)
from .serialization import (
    to_json as to_json,
)
