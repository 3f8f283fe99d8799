from .probes import (
    compare as compare,
)
from .probes import (
    fine_tune as fine_tune,
)
from .report import (
    finish as finish,
)
from .report import (
    profiled as profiled,
)
from .report import (
    show_numbers as show_numbers,
)
from .report import (
    write_study as write_study,
)
from .suite import (
    draw as draw,
)
from .suite import (
    measure as measure,
)
