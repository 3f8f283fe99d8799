from .compilation import (
    enable_compilation_cache as enable_compilation_cache,
)
from .cost import (
    lowered_step as lowered_step,
)
from .cost import (
    peak_memory as peak_memory,
)
from .cost import (
    step_flop as step_flop,
)
from .members import (
    free_memory as free_memory,
)
from .members import (
    lanes as lanes,
)
from .members import (
    rounded as rounded,
)
from .members import (
    spread as spread,
)
from .parallel import (
    ALL_DEVICES as ALL_DEVICES,
)
from .parallel import (
    Parallel as Parallel,
)
from .parallel import (
    Strategy as Strategy,
)
from .programs import (
    epoch as epoch,
)
from .programs import (
    evaluate as evaluate,
)
from .programs import (
    init as init,
)
from .programs import (
    outputs as outputs,
)
from .programs import (
    place as place,
)
from .programs import (
    shared_epoch as shared_epoch,
)
from .programs import (
    shared_evaluate as shared_evaluate,
)
from .programs import (
    shuffled as shuffled,
)
