from ._mlflow import (
    MLflow as MLflow,
)
from ._tensorboard import (
    TensorBoard as TensorBoard,
)
from ._wandb import (
    WandB as WandB,
)
from .sending import (
    Tracking as Tracking,
    replay as replay,
)
from .tracker import (
    Opened as Opened,
    Tracker as Tracker,
)
