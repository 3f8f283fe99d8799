from .compilation import (
    enable_compilation_cache as enable_compilation_cache,
)
from .cost import (
    lowered_step as lowered_step,
    peak_memory as peak_memory,
    step_flop as step_flop,
)
from .members import (
    free_memory as free_memory,
    lanes as lanes,
    rounded as rounded,
    spread as spread,
)
from .parallel import (
    ALL_DEVICES as ALL_DEVICES,
    Parallel as Parallel,
    Strategy as Strategy,
)
from .programs import (
    epoch as epoch,
    evaluate as evaluate,
    init as init,
    outputs as outputs,
    place as place,
    shared_epoch as shared_epoch,
    shared_evaluate as shared_evaluate,
    shuffled as shuffled,
)
