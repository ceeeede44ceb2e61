// Azurite's Blob service. Ten minutes after its start, and every ten from then on, it collects what no blob refers to
// any more; of data in memory it does that in time quadratic in the number of writes, and answers nobody for minutes.
"use strict";

if (process.argv.includes("--inMemoryPersistence")) {
	require("azurite/dist/src/blob/utils/constants").DEFAULT_GC_INTERVAL_MS = 2 ** 31 - 1; // the longest that a timer takes
}
require("azurite/dist/src/blob/main");
