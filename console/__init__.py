"""What all command lines share: numbers, `--version`, completion in shells, and output that no terminal breaks."""
