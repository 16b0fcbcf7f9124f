// Buffers outside V8's heap, JSON, compression.
const zlib = require('zlib');

function buffers(count) {
  let sum = 0;
  const held = new Array(256);
  for (let i = 0; i < count; i++) {
    const buffer = Buffer.allocUnsafeSlow(64 + ((i * 7919) % 32768));
    buffer[0] = i;
    sum += buffer.length;
    held[i % held.length] = buffer;
  }
  return sum;
}

function documents(count) {
  const list = Array.from({ length: count }, (_, i) => ({ id: i, name: `user${i}`, tags: [i % 7, i % 13] }));
  return JSON.parse(JSON.stringify(list)).reduce((sum, item) => sum + item.name.length, 0);
}

function compress(count) {
  const text = Buffer.from('the quick brown fox '.repeat(500));
  let bytes = 0;
  for (let i = 0; i < count; i++) bytes += zlib.inflateSync(zlib.deflateSync(text)).length;
  return bytes;
}

for (let i = 0; i < Number(process.argv[2]); i++) console.log(buffers(5000), documents(5000), compress(50));
