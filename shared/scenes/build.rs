//! Lets the tests and the bench find `libduckdb.so` where the build found it; the library itself does not use it.

use std::{env, path::Path};

fn main() {
    println!("cargo:rerun-if-env-changed=DUCKDB_LIB_DIR");
    if let Some(folder) = env::var_os("DUCKDB_LIB_DIR").and_then(|folder| Path::new(&folder).canonicalize().ok()) {
        println!("cargo:rustc-link-arg-tests=-Wl,-rpath,{}", folder.display());
        println!("cargo:rustc-link-arg-examples=-Wl,-rpath,{}", folder.display());
    }
}
