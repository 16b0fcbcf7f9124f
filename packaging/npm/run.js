#!/usr/bin/env node
// ferrimalloc-run [--checks] PROGRAM [ARGUMENT…]: runs a program with ferrimalloc as its allocator, and ends as that does.
// With --checks, memcpy, strcpy and their kin are kept inside of their blocks by a second library.
'use strict';

const { spawn } = require('node:child_process');
const { constants } = require('node:os');
const path = require('node:path');

const line = process.argv.slice(2);
const checks = line[0] === '--checks';
const [program, ...args] = checks ? line.slice(1) : line;
if (program === undefined) {
  console.error('usage: ferrimalloc-run [--checks] PROGRAM [ARGUMENT...]');
  process.exit(2);
}

const ours = ['libferrimalloc.so.0', 'libferrimalloc-checks.so.0'].map((name) => path.join(__dirname, name));
const others = (process.env.LD_PRELOAD ?? '').split(':').filter((other) => other !== '' && !ours.includes(other));
const env = { ...process.env, LD_PRELOAD: [...(checks ? ours : ours.slice(0, 1)), ...others].join(':') };
const child = spawn(program, args, { stdio: 'inherit', env });

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGUSR1', 'SIGUSR2']) {
  process.on(signal, () => child.kill(signal));
}
child.on('error', (error) => {
  console.error(`ferrimalloc-run: ${program}: ${error.message}`);
  process.exit(127);
});
child.on('exit', (code, signal) => process.exit(code ?? 128 + constants.signals[signal]));
