from .averages import (
    Average as Average,
    ExponentialAverage as ExponentialAverage,
    NoAverage as NoAverage,
    TailAverage as TailAverage,
)
from .epochs import (
    Batches as Batches,
    epoch as epoch,
    epoch_order as epoch_order,
    scan_batches as scan_batches,
    shuffle as shuffle,
)
from .errors import (
    DISK_ERRORS as DISK_ERRORS,
    MEMORY_FULL as MEMORY_FULL,
    DiskError as DiskError,
    DivergedError as DivergedError,
    HostLost as HostLost,
    InputError as InputError,
    Stopped as Stopped,
    first_line as first_line,
    nearest as nearest,
    require_known as require_known,
    similar as similar,
    similar_paths as similar_paths,
)
from .evaluation import (
    evaluate as evaluate,
    outputs as outputs,
)
from .examples import (
    BUFFER as BUFFER,
    CHUNK as CHUNK,
    Array as Array,
    Examples as Examples,
    as_seen as as_seen,
    blank_example as blank_example,
    spread as spread,
    unseen as unseen,
)
from .extras import (
    import_extra as import_extra,
)
from .keys import (
    Stream as Stream,
    derive as derive,
    model_keys as model_keys,
)
from .kinds import (
    KINDS as KINDS,
    kind_in_words as kind_in_words,
    no_choice as no_choice,
    of_other_kind as of_other_kind,
)
from .linen import (
    BATCH_AXIS as BATCH_AXIS,
    Model as Model,
    Trainable as Trainable,
    Variables as Variables,
    apply as apply,
    batch_mean as batch_mean,
    batch_rows as batch_rows,
    batch_sum as batch_sum,
    init_variables as init_variables,
    mapped_batch_axis as mapped_batch_axis,
)
from .mean import (
    Mean as Mean,
    Metrics as Metrics,
    means as means,
)
from .optimizers import (
    SGD as SGD,
    Adam as Adam,
    Adamax as Adamax,
    AdamW as AdamW,
    Constant as Constant,
    Cosine as Cosine,
    Muon as Muon,
    Optimizer as Optimizer,
    Player as Player,
    Rate as Rate,
    RMSProp as RMSProp,
    Schedule as Schedule,
    Steps as Steps,
    WarmupCosine as WarmupCosine,
    WarmupStableDecay as WarmupStableDecay,
)
from .population import (
    Members as Members,
    evaluate_members as evaluate_members,
    init_members as init_members,
    train_members as train_members,
)
from .progress import (
    Progress as Progress,
)
from .pytrees import (
    pytree as pytree,
)
from .sessions import (
    is_interactive as is_interactive,
    is_notebook as is_notebook,
)
from .settings import (
    Number as Number,
    as_arrays as as_arrays,
    configurable as configurable,
    is_known as is_known,
    known as known,
    known_class as known_class,
    known_subclasses as known_subclasses,
    parts_within as parts_within,
    positive as positive,
    static as static,
)
from .tables import (
    print_table as print_table,
)
from .texts import (
    first_sentence as first_sentence,
    json_text as json_text,
    kebab as kebab,
    setting_path as setting_path,
    short_paths as short_paths,
    with_nan as with_nan,
    without_nan as without_nan,
)
from .train_step import (
    Measure as Measure,
    State as State,
    init as init,
    priming_sample as priming_sample,
    step as step,
)
from .trees import (
    named_leaves as named_leaves,
    nbytes as nbytes,
    path_name as path_name,
)
