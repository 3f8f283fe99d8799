from .checks import (
    class_labels as class_labels,
)
from .choices import (
    choose_parts as choose_parts,
    kinds_with as kinds_with,
    part_choices as part_choices,
    part_name as part_name,
)
from .experiment import (
    Expected as Expected,
    Experiment as Experiment,
)
from .flags import (
    train_command as train_command,
)
from .own_code import (
    import_code as import_code,
    import_from_environment as import_from_environment,
    origins as origins,
    require_code as require_code,
    require_names as require_names,
)
from .registry import (
    code_of as code_of,
    get as get,
    names as names,
    register as register,
    with_imports as with_imports,
)
from .results import (
    Entry as Entry,
    ledger as ledger,
)
from .serialization import (
    as_first_written as as_first_written,
    canonical as canonical,
    differences as differences,
    dumps as dumps,
    from_json as from_json,
    to_json as to_json,
)
from .showing import (
    changed_in_words as changed_in_words,
    model_in_words as model_in_words,
    settings_of as settings_of,
    settings_table as settings_table,
)
from .variation import (
    replace_at as replace_at,
    vary as vary,
)
