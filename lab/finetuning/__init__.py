"""Fine-tuning a checkpoint on own data: a base and labelled files in, a folder that the service loads out."""
