"""Commands beside the service: evaluation, calibration, fine-tuning, inspection, training."""
