#!/usr/bin/env -S node --max-semi-space-size=4 --no-parallel-scavenge
// Left to itself, V8 gives what is young 128 MiB once datagrams come fast: 4 MiB a half is plenty and stays within bounds. Waking
// threads to collect so little takes more CPU time than they save.
import "../dist/main.js";
