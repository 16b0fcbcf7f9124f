#!/usr/bin/env node
// ferrimalloc-run PROGRAM [ARGUMENT…]: runs a program with ferrimalloc as its allocator, and ends as that does.
'use strict';

const { spawn } = require('node:child_process');
const { constants } = require('node:os');
const path = require('node:path');

const [program, ...args] = process.argv.slice(2);
if (program === undefined) {
  console.error('usage: ferrimalloc-run PROGRAM [ARGUMENT...]');
  process.exit(2);
}

const library = path.join(__dirname, 'libferrimalloc.so.0');
const others = (process.env.LD_PRELOAD ?? '').split(':').filter((other) => other !== '' && other !== library);
const env = { ...process.env, LD_PRELOAD: [library, ...others].join(':') };
const child = spawn(program, args, { stdio: 'inherit', env });

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGUSR1', 'SIGUSR2']) {
  process.on(signal, () => child.kill(signal));
}
child.on('error', (error) => {
  console.error(`ferrimalloc-run: ${program}: ${error.message}`);
  process.exit(127);
});
child.on('exit', (code, signal) => process.exit(code ?? 128 + constants.signals[signal]));
