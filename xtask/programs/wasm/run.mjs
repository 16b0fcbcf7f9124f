// node run.mjs FILE…, modules without imports or for WASI's preview 1: runs the jobs of each module in turns, and prints per module and job: answer, best milliseconds;
// then the bytes of the file, those of it compressed, and the memory's pages at the start and at the end.
import { readFileSync } from "node:fs";
import { WASI } from "node:wasi";
import { gzipSync } from "node:zlib";

const jobs = [["words", 200000], ["growing", 60], ["queue", 400000]];
function start(module) {
  if (WebAssembly.Module.imports(module).length === 0) return new WebAssembly.Instance(module, {});
  const wasi = new WASI({ version: "preview1" });
  const instance = new WebAssembly.Instance(module, wasi.getImportObject());
  wasi.initialize(instance);
  return instance;
}
const modules = process.argv.slice(2).map((file) => {
  const bytes = readFileSync(file);
  const { exports } = start(new WebAssembly.Module(bytes));
  const pages = () => exports.memory.buffer.byteLength / 65536;
  return { exports, pages, start: pages(), size: bytes.length, packed: gzipSync(bytes).length, best: {}, answers: {} };
});
for (let round = 0; round < 7; round++)
  for (const [job, rounds] of jobs)
    for (const module of modules) {
      const began = performance.now();
      const answer = module.exports[job](rounds) >>> 0;
      const took = performance.now() - began;
      module.best[job] = Math.min(module.best[job] ?? Infinity, took);
      if ((module.answers[job] ??= answer) !== answer) throw new Error(`${job}: ${answer} after ${module.answers[job]}`);
    }
for (const module of modules) {
  const times = jobs.map(([job]) => `${job} ${module.answers[job]} ${module.best[job].toFixed(1)}`);
  console.log(`${times.join(" ")} bytes ${module.size} ${module.packed} pages ${module.start} ${module.pages()}`);
}
