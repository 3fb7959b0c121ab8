//! Lets the binary find `libduckdb.so` from any directory: beside itself (`../lib`), else where the build found it.

use std::{env, path::Path};

fn main() {
    println!("cargo:rerun-if-env-changed=DUCKDB_LIB_DIR");
    println!("cargo:rustc-link-arg=-Wl,-rpath,$ORIGIN/../lib");
    let Some(folder) = env::var_os("DUCKDB_LIB_DIR") else {
        println!(
            "cargo:warning=DUCKDB_LIB_DIR is not set; build inside the checkout, whose .cargo/config.toml sets it"
        );
        return;
    };
    // The folder in the checkout is a link; the binary must not need the checkout.
    match Path::new(&folder).canonicalize() {
        Ok(folder) => println!("cargo:rustc-link-arg=-Wl,-rpath,{}", folder.display()),
        Err(error) => {
            let folder = Path::new(&folder).display();
            println!("cargo:error=libduckdb is not at {folder} ({error}): run scripts/setup first");
        }
    }
}
