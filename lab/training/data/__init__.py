"""Data for the bundled models: packages in, manifests of windows and crops out."""
