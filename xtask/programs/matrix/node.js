'use strict';
const { Worker, isMainThread, parentPort, workerData } = require('worker_threads');
const crypto = require('crypto');
const zlib = require('zlib');

const md5 = (data) => crypto.createHash('md5').update(data).digest('hex');

function work(seed) {
  const map = new Map();
  for (let i = 0; i < 60000; i++) map.set(`key${(i * 7919 + seed) % 20011}`, { i, list: Array(i % 9).fill(seed) });
  const text = JSON.stringify([...map]);
  return md5(text) + ' ' + JSON.parse(text).length;
}

function buffers() {
  const kept = [];
  for (let i = 0; i < 30000; i++) {
    const buffer = Buffer.allocUnsafeSlow(1 + (i * 37) % 9000).fill(i & 255);
    if (i % 10 === 0) kept.push(buffer);
  }
  return md5(Buffer.concat(kept));
}

async function main() {
  console.log(work(1));
  console.log(buffers());
  const packed = zlib.gzipSync(Buffer.from('ferrimalloc '.repeat(300000)), { level: 6 });
  console.log(zlib.gunzipSync(packed).length, zlib.brotliDecompressSync(zlib.brotliCompressSync(packed)).length);
  const answers = [1, 2, 3, 4].map((seed) => new Promise((resolve, reject) => {
    const worker = new Worker(__filename, { workerData: seed });
    worker.once('message', resolve).once('error', reject);
  }));
  console.log((await Promise.all(answers)).join('\n'));
  console.log(crypto.pbkdf2Sync('password', 'salt', 20000, 32, 'sha256').toString('hex'));
}

if (isMainThread) main(); else parentPort.postMessage(work(workerData));
