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
)
from .parallel import (
    ALL_DEVICES as ALL_DEVICES,
    Parallel as Parallel,
    Strategy as Strategy,
)
from .programs import (
    Program as Program,
    epoch as epoch,
    epoch_order as epoch_order,
    epoch_order_on_host as epoch_order_on_host,
    evaluate as evaluate,
    init as init,
    outputs as outputs,
    place as place,
    states_of_epochs as states_of_epochs,
)
