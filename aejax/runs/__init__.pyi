from .array_file import (
    fill_parts as fill_parts,
    named_arrays as named_arrays,
    read_arrays as read_arrays,
    read_safetensors as read_safetensors,
    write_arrays as write_arrays,
)
from .checkpoints import (
    Checkpoints as Checkpoints,
    Saving as Saving,
    placed as placed,
)
from .files import (
    locked as locked,
    read_json as read_json,
    write_atomically as write_atomically,
)
from .lines import (
    write_lines as write_lines,
)
from .metric_log import (
    validation_losses as validation_losses,
)
from .pieces import (
    in_pieces as in_pieces,
)
from .provenance import (
    commit as commit,
    hardware as hardware,
    made_with as made_with,
    provenance_after as provenance_after,
    versions as versions,
)
from .run import (
    FRESH as FRESH,
    NEWEST as NEWEST,
    Run as Run,
    no_run as no_run,
    read_experiment as read_experiment,
    write_experiment as write_experiment,
)
from .status import (
    NO_NOTES as NO_NOTES,
    Notes as Notes,
    add_notes as add_notes,
    read_notes as read_notes,
)
from .template import (
    checkpoint_template as checkpoint_template,
)
from .timing import (
    Profile as Profile,
    Recording as Recording,
    record_duration as record_duration,
    span as span,
)
