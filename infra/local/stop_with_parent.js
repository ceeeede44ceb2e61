// Preloaded into each emulator: the parent holds the other end of stdin, so a parent that dies, even by
// SIGKILL, leaves no emulator behind. Unreferenced, so that it keeps no emulator from ending by itself.
"use strict";

process.stdin.once("end", () => process.kill(process.pid, "SIGTERM"));
process.stdin.resume();
process.stdin.unref();
