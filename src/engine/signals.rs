//! SIGINT and SIGTERM, or Ctrl-C on Windows: the first wakes the loop, the second ends the process.
