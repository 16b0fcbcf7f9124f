// A program for node: is ferrimalloc its allocator?
const maps = require("fs").readFileSync("/proc/self/maps", "utf8");
console.log("ferrimalloc:", maps.includes("libferrimalloc") ? "yes" : "no");
