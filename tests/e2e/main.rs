//! End-to-end tests: one binary, a module a subject. `tests/README.md` says how to run one.

mod harness_self;
