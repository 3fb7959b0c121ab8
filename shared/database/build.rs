//! Lets the tests of this crate and of the console find `libduckdb.so` where the build found it; the libraries themselves do not use it.

use std::{env, path::Path};

fn main() {
    println!("cargo:rerun-if-env-changed=DUCKDB_LIB_DIR");
    if let Some(folder) = env::var_os("DUCKDB_LIB_DIR").and_then(|folder| Path::new(&folder).canonicalize().ok()) {
        println!("cargo:rustc-link-arg=-Wl,-rpath,{}", folder.display());
    }
}
