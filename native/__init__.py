"""An optional build: the modules a call passes through, compiled to C with mypyc. docs/compiled.md says how and why."""
