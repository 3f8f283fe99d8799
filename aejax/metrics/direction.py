"""Says for which metrics a higher value is better."""

HIGHER_IS_BETTER = (
    "accuracy",
    "auroc",
    "average_precision",
    "psnr_db",
    "ssim",
    "mig",
    "sap",
    "score",
    "active_units",
    "explained_variance",
)
"""Ends of the names of the metrics for which a higher value is better."""
