//! A binary under test as a child process: its announced address, its log, its end.
