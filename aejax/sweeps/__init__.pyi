from .execution import (
    run_sweep as run_sweep,
)
from .models import (
    best_run as best_run,
)
from .objective import (
    Objective as Objective,
    measuring as measuring,
)
from .plan import (
    check as check,
    folder_name as folder_name,
    grid as grid,
    groups as groups,
    parse_axis as parse_axis,
    read_axes as read_axes,
)
from .reading import (
    Reader as Reader,
)
from .result import (
    Result as Result,
)
from .search import (
    Search as Search,
    run_search as run_search,
)
from .space import (
    parse_search_axis as parse_search_axis,
)
from .store import (
    Sweep as Sweep,
    find as find,
    holds as holds,
)
from .summary import (
    Summary as Summary,
    SummaryRow as SummaryRow,
    TrialRow as TrialRow,
    summarise as summarise,
)
