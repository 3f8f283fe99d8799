"""Reading a sweep's results: one row for each setting, with its seeds taken together."""

HIGHER_IS_BETTER = ("accuracy", "auroc", "average_precision", "psnr_db", "ssim", "mig", "sap", "score", "active_units")
"""Ends of the names of metrics of which more is better."""
