from .epochs import (
    batches as batches,
)
from .epochs import (
    epoch as epoch,
)
from .epochs import (
    scan_batches as scan_batches,
)
from .epochs import (
    shuffle as shuffle,
)
from .errors import (
    DISK_ERRORS as DISK_ERRORS,
)
from .errors import (
    MEMORY_FULL as MEMORY_FULL,
)
from .errors import (
    DiskError as DiskError,
)
from .errors import (
    DivergedError as DivergedError,
)
from .errors import (
    HostLost as HostLost,
)
from .errors import (
    InputError as InputError,
)
from .errors import (
    Stopped as Stopped,
)
from .errors import (
    require_known as require_known,
)
from .evaluation import (
    evaluate as evaluate,
)
from .evaluation import (
    outputs as outputs,
)
from .examples import (
    BUFFER as BUFFER,
)
from .examples import (
    CHUNK as CHUNK,
)
from .examples import (
    Array as Array,
)
from .examples import (
    Examples as Examples,
)
from .examples import (
    blank_example as blank_example,
)
from .extras import (
    import_extra as import_extra,
)
from .keys import (
    Stream as Stream,
)
from .keys import (
    derive as derive,
)
from .keys import (
    model_keys as model_keys,
)
from .linen import (
    BATCH_AXIS as BATCH_AXIS,
)
from .linen import (
    Model as Model,
)
from .linen import (
    Variables as Variables,
)
from .linen import (
    apply as apply,
)
from .linen import (
    init_variables as init_variables,
)
from .linen import (
    mapped_batch_axis as mapped_batch_axis,
)
from .mean import (
    Mean as Mean,
)
from .mean import (
    Metrics as Metrics,
)
from .mean import (
    means as means,
)
from .optimizers import (
    SGD as SGD,
)
from .optimizers import (
    Adam as Adam,
)
from .optimizers import (
    AdamW as AdamW,
)
from .optimizers import (
    Constant as Constant,
)
from .optimizers import (
    Cosine as Cosine,
)
from .optimizers import (
    Optimizer as Optimizer,
)
from .optimizers import (
    RMSProp as RMSProp,
)
from .optimizers import (
    Schedule as Schedule,
)
from .optimizers import (
    Steps as Steps,
)
from .optimizers import (
    WarmupCosine as WarmupCosine,
)
from .population import (
    Members as Members,
)
from .population import (
    epoch_of_members as epoch_of_members,
)
from .population import (
    evaluate_members as evaluate_members,
)
from .population import (
    init_members as init_members,
)
from .settings import (
    Number as Number,
)
from .settings import (
    as_arrays as as_arrays,
)
from .settings import (
    configurable as configurable,
)
from .settings import (
    known as known,
)
from .settings import (
    known_class as known_class,
)
from .settings import (
    known_subclasses as known_subclasses,
)
from .settings import (
    positive as positive,
)
from .settings import (
    static as static,
)
from .train_step import (
    Measure as Measure,
)
from .train_step import (
    State as State,
)
from .train_step import (
    init as init,
)
from .train_step import (
    step as step,
)
from .trees import (
    named_leaves as named_leaves,
)
from .trees import (
    nbytes as nbytes,
)
