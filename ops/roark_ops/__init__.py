"""The operator's command, the sandbox and the pipeline on one machine."""
