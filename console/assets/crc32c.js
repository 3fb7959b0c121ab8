// CRC-32C (Castagnoli), eight bytes at a time: what the server and Cloud Storage know a content by.

const TABLES = (() => {
  const tables = Array.from({ length: 8 }, () => new Uint32Array(256));
  for (let byte = 0; byte < 256; byte++) {
    let rest = byte;
    for (let bit = 0; bit < 8; bit++) rest = rest & 1 ? (rest >>> 1) ^ 0x82f63b78 : rest >>> 1;
    tables[0][byte] = rest;
  }
  for (let byte = 0; byte < 256; byte++)
    for (let at = 1; at < 8; at++) tables[at][byte] = (tables[at - 1][byte] >>> 8) ^ tables[0][tables[at - 1][byte] & 255];
  return tables;
})();

/** The CRC of what `before` is the CRC of, with these bytes after it. */
export function crc32c(bytes, before = 0) {
  const [t0, t1, t2, t3, t4, t5, t6, t7] = TABLES;
  let rest = ~before;
  let at = 0;
  for (const end = bytes.length - 7; at < end; at += 8) {
    rest ^= bytes[at] | (bytes[at + 1] << 8) | (bytes[at + 2] << 16) | (bytes[at + 3] << 24);
    rest =
      t7[rest & 255] ^ t6[(rest >>> 8) & 255] ^ t5[(rest >>> 16) & 255] ^ t4[rest >>> 24] ^
      t3[bytes[at + 4]] ^ t2[bytes[at + 5]] ^ t1[bytes[at + 6]] ^ t0[bytes[at + 7]];
  }
  for (; at < bytes.length; at++) rest = (rest >>> 8) ^ t0[(rest ^ bytes[at]) & 255];
  return ~rest >>> 0;
}
